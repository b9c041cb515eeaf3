"""Files from the network: with progress, resumed after a cut, and checked against a SHA-256.

The caller pins a checksum that is known beforehand. Where none is known, that of the first download is written beside
the file (`<name>.sha256`), and every later download must match it. A download that was cut short stays as
`<name>.part` and is resumed if the server still has the same file.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from exlcap.core.console import say
from exlcap.core.errors import ExlcapError
from exlcap.core.files import one_at_a_time, sha256_file, write_atomic

Progress = Callable[[int, int | None], None]
"""Called with the bytes so far and in all (None where the server does not say)."""
TIMEOUT_S = 30.0
TRIES = 4
MAX_BYTES = 4_000_000_000
BLOCK_BYTES = 1 << 18
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def cache_folder() -> Path:
    """Where downloads are kept for all workspaces of this user: ``EXLCAP_CACHE``, else the system's place for it."""
    if chosen := os.environ.get("EXLCAP_CACHE"):
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "exlcap"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "exlcap"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "exlcap"


def weights_folder() -> Path:
    """Where the weights of networks are kept."""
    return cache_folder() / "weights"


def fetch(
    url: str,
    path: Path,
    sha256: str | None = None,
    progress: Progress | None = None,
    way_out: str = "download it on another machine and copy it here",
    max_bytes: int = MAX_BYTES,
) -> str:
    """Download `url` to `path` and return its SHA-256; a file that is already there is checked, not downloaded again.

    url: https, or http on this machine. sha256: the checksum it must have; None: the one recorded at the first
    download. way_out: what to do if the download fails, for the hint. Raises ExlcapError when the download fails, is
    larger than `max_bytes`, or is not the expected file.
    """
    _check_url(url)
    with one_at_a_time(path, f"downloads {path.name}"):
        return _fetch(url, path, sha256, progress or printed_progress(path.name), way_out, max_bytes)


def _fetch(url: str, path: Path, sha256: str | None, progress: Progress, way_out: str, max_bytes: int) -> str:
    record = path.with_name(path.name + ".sha256")
    expected = sha256 or recorded_sha256(path)
    if path.is_file():
        actual = sha256_file(path)
        _check_sum(path, actual, expected, f"delete {path} to download it again; {_trust(record, sha256)}")
    else:
        part = path.with_name(path.name + ".part")
        _download(url, part, expected is not None, progress, way_out, max_bytes)
        actual = sha256_file(part)
        try:
            _check_sum(url, actual, expected, f"nothing was kept; {_trust(record, sha256)}, or {way_out}")
        except ExlcapError:
            _discard(part)
            raise
        part.replace(path)
        _discard(part)
    if expected is None:
        write_atomic(record, f"{actual}  {path.name}\n".encode())
    return actual


def recorded_sha256(path: Path) -> str | None:
    """The checksum a file had when it was first downloaded; None where it was not downloaded."""
    record = path.with_name(path.name + ".sha256")
    words = record.read_text(encoding="utf-8").split() if record.is_file() else []
    return words[0] if words else None


def printed_progress(name: str) -> Progress:
    """Progress in plain lines, at most one every three seconds, with the time left."""
    began = last = time.monotonic()
    start: int | None = None

    def step(done: int, total: int | None) -> None:
        nonlocal last, start
        now = time.monotonic()
        if start is None:
            start = done
        if now - last < 3:
            return
        last, speed = now, (done - start) / (now - began)
        of = f" of {total / 1e6:.1f} MB, {(total - done) / max(speed, 1):.0f} s left" if total else " MB"
        say(f"downloading {name}: {done / 1e6:.1f}{of}")

    return step


def read_member(archive: Path, member: str) -> bytes:
    """The one file called `member`, in any folder of a zip. Nothing is unpacked, so nothing can be written elsewhere.

    Raises ExlcapError when the zip is damaged, or holds no or several such files.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = [entry for entry in opened.infolist() if PurePosixPath(entry.filename).name == member]
            if len(entries) != 1:
                names = ", ".join(entry.filename for entry in opened.infolist()[:8])
                raise ExlcapError(f"{archive} holds {len(entries)} files called {member!r}", f"it holds {names}")
            if entries[0].file_size > MAX_BYTES:
                raise ExlcapError(
                    f"{archive}: {member} is {entries[0].file_size / 1e9:.1f} GB", "this is not the expected file"
                )
            return opened.read(entries[0])
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:  # RuntimeError: encrypted
        raise ExlcapError(f"{archive} is not a whole zip file ({error})", "delete it and download it again") from None


def _check_url(url: str) -> None:
    """Raise ExlcapError unless the address is https, or http on this machine."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise ExlcapError(f"{url} is not an https address", "weights are fetched over https only")


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to https only."""

    def redirect_request(  # type: ignore[no-untyped-def]
        self, req, fp, code, msg, headers, newurl
    ) -> urllib.request.Request | None:
        """As urllib does, once the new address is checked."""
        _check_url(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_sum(what: Path | str, actual: str, expected: str | None, hint: str) -> None:
    if expected is not None and actual.lower() != expected.lower():
        raise ExlcapError(f"{what} has SHA-256 {actual}, expected {expected}", hint)


def _trust(record: Path, pinned: str | None) -> str:
    """What to do if the publisher changed the file and the new one is trusted."""
    if pinned:
        return "the expected checksum is pinned: trust another only if the publisher states it"
    return f"delete {record} if you trust the new file"


@dataclass(frozen=True)
class _PartialFile:
    """What the server said about the file whose beginning a .part holds."""

    url: str
    validator: str

    def write(self, part: Path) -> None:
        write_atomic(part.with_name(part.name + ".json"), json.dumps([self.url, self.validator]).encode())

    @staticmethod
    def read(part: Path) -> _PartialFile | None:
        try:
            url, validator = json.loads(part.with_name(part.name + ".json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return _PartialFile(str(url), str(validator))


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    part.with_name(part.name + ".json").unlink(missing_ok=True)


def _download(url: str, part: Path, known: bool, progress: Progress, way_out: str, max_bytes: int) -> None:
    """Bring `part` to its full length, resuming after cuts. known: its checksum is, so any beginning will do."""
    for attempt in range(TRIES):
        before = part.stat().st_size if part.exists() else 0
        try:
            _receive(url, part, known, progress, max_bytes)
            return
        except urllib.error.HTTPError as error:
            if error.code == 416:  # the beginning is longer than the file is now
                _discard(part)
            elif error.code < 500 or attempt == TRIES - 1:
                raise ExlcapError(f"{url}: the server answers {error.code} {error.reason}", way_out) from None
        except (OSError, http.client.HTTPException) as error:
            if not isinstance(
                error, urllib.error.URLError | ConnectionError | TimeoutError | http.client.HTTPException
            ):
                raise  # the disk, not the network
            there = part.stat().st_size if part.exists() else 0
            if attempt == TRIES - 1 or (there == 0 and before == 0):
                reason = getattr(error, "reason", None) or error
                raise ExlcapError(
                    f"{url} cannot be downloaded ({reason})" + (f"; {there / 1e6:.1f} MB are kept" if there else ""),
                    f"run the command again with a network connection, or {way_out}",
                ) from None
        time.sleep(0.2 * 2**attempt)


def _receive(url: str, part: Path, known: bool, progress: Progress, max_bytes: int) -> None:
    """One request: the whole file, or the rest of `part` if the server confirms that it is the same file."""
    there, seen = part.stat().st_size if part.exists() else 0, _PartialFile.read(part)
    request = urllib.request.Request(url, headers={"User-Agent": "exlcap"})
    validator = seen.validator if seen and seen.url == url else ""
    if there and (known or validator):
        request.add_header("Range", f"bytes={there}-")
        if validator:
            request.add_header("If-Range", validator)
    with urllib.request.build_opener(_SafeRedirects).open(request, timeout=TIMEOUT_S) as response:
        start = _start_of(response, there)
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else None
        if (total or 0) > max_bytes:
            raise ExlcapError(
                f"{url} is {(total or 0) / 1e6:.0f} MB, more than {max_bytes / 1e6:.0f}", "check the address"
            )
        if start == 0:
            _discard(part)
            # a weak ETag does not promise the same bytes, and If-Range does not take one
            tag = response.headers.get("ETag", "")
            _PartialFile(url, tag if tag.startswith('"') else response.headers.get("Last-Modified", "")).write(part)
        with part.open("r+b" if part.exists() else "wb") as stream:
            stream.seek(start)
            done = _copy(response, stream, start, total, progress, max_bytes)
            stream.truncate()
    if total is not None and done < total:
        raise ConnectionError(f"the connection was cut at {done} of {total} bytes")


def _start_of(response: http.client.HTTPResponse, there: int) -> int:
    """Byte at which the answer starts: the one we asked for if the server agreed (206), else the beginning."""
    if response.status != 206:
        return 0
    said = response.headers.get("Content-Range", "")
    if not said.startswith(f"bytes {there}-"):
        raise http.client.HTTPException(f"asked for bytes from {there}, got {said!r}")
    return there


def _copy(
    response: http.client.HTTPResponse,
    stream: BinaryIO,
    start: int,
    total: int | None,
    progress: Progress,
    max_bytes: int,
) -> int:
    done = start
    while block := response.read(BLOCK_BYTES):
        stream.write(block)
        done += len(block)
        if done > max_bytes:
            raise ExlcapError(f"{response.url} is larger than {max_bytes / 1e6:.0f} MB", "check the address")
        progress(done, total)
    return done
