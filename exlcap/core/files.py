"""Files that survive a crash: atomic writes, append-only JSONL with torn-tail recovery, checksums."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from exlcap.core.console import say
from exlcap.core.errors import ExlcapError


def write_atomic(path: Path, *parts: bytes | memoryview, cached: bool = True) -> None:
    """Write `parts` so that `path` holds either its old content or all of the new, whenever the power fails.

    Temporary file in the same folder, fsync, rename, fsync of the folder. A failure leaves no temporary file behind.
    cached: False drops the written pages from the system's cache, so that a long recording does not fill the memory.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("wb") as stream:
            for part in parts:
                stream.write(part)
            stream.flush()
            os.fsync(stream.fileno())
            if not cached and sys.platform == "linux":
                os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder; NTFS journals the rename
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically: indented, UTF-8, without NaN (which is not JSON)."""
    write_atomic(path, (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())


def read_json(path: Path, kind: str, formats: tuple[int, ...] = ()) -> Any:
    """Read a JSON file.

    kind: what the file is, for messages ("take header"). formats: the values of its `format` field this version
    reads; empty for foreign files without one.
    Raises ExlcapError when the file is missing, is not JSON, or has an unknown format number.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ExlcapError(f"{kind} not found: {path}", "check the path") from None
    except UnicodeDecodeError as error:
        raise ExlcapError(
            f"{path} is not UTF-8 text ({error.reason} at byte {error.start})",
            f"it should be a {kind} in JSON; restore it from a copy",
        ) from None
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ExlcapError(
            f"{path} is not valid JSON (line {error.lineno}: {error.msg})",
            f"the {kind} is cut off or was edited by hand; restore it from a copy",
        ) from None
    if formats:
        number = value.get("format") if isinstance(value, dict) else None
        if number not in formats or isinstance(number, bool):
            raise ExlcapError(
                f"{path}: unknown format {number!r} of {kind}",
                f"this version of exlcap reads format {', '.join(map(str, formats))}; "
                "a newer exlcap may have written it",
            ) from None
    return value


def append_jsonl(path: Path, record: Any) -> None:
    """Append one record as one line and wait until it is on the disk.

    A torn last line (an earlier process died while writing it) is cut off first, so it never corrupts the new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(record, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    with path.open("ab+") as stream:
        end = _end_of_whole_lines(stream)
        stream.truncate(end)
        try:
            stream.write(line)
            stream.flush()
            os.fsync(stream.fileno())
        except OSError:
            stream.truncate(end)
            raise


def _end_of_whole_lines(stream: Any) -> int:
    """Byte offset just after the last newline of an open file."""
    end = int(stream.seek(0, os.SEEK_END))
    while end > 0:
        start = max(0, end - 4096)
        stream.seek(start)
        newline = stream.read(end - start).rfind(b"\n")
        if newline >= 0:
            return start + int(newline) + 1
        end = start
    return 0


def read_jsonl(path: Path) -> tuple[list[Any], bool]:
    """Records of a JSONL file, and whether a torn last line was skipped. A missing file holds no records.

    Raises ExlcapError for a damaged line that is not the last: that is not a crash but a damaged disk or an edit.
    """
    if not path.exists():
        return [], False
    *lines, tail = path.read_bytes().split(b"\n")
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(json.loads(line))
        except ValueError:
            raise ExlcapError(
                f"{path}: line {number} is damaged",
                "restore the file from a copy, or delete that line, which loses that record",
            ) from None
    return records, bool(tail)


def sha256_bytes(*parts: bytes | memoryview) -> str:
    """SHA-256 of the parts joined together, in hexadecimal."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def sha256_file(path: Path) -> str:
    """SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def one_at_a_time(path: Path, what: str, otherwise: str | None = None) -> Iterator[None]:
    """Hold a lock on `path` against other processes that ask for the same one. Its folder is made if missing, and keeps
    a file ``<name>.lock``. The lock of a killed process is released.

    what: the other process does, as "downloads net.onnx". otherwise: what to do instead of waiting; None: wait.
    Raises ExlcapError when another process holds the lock and waiting is not wanted.
    """
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(path.name + ".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if otherwise is not None:
            raise ExlcapError(f"another process {what}", otherwise) from None
        say(f"waiting for another process that {what}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
