"""The review database: a mongod of the workspace's own, on a free port of the loopback interface.

It answers only to processes that can read its key, which is new at every start and lies in a file that only this user
can read. FiftyOne attaches to any mongod that it finds running for the same user, so it is always given the address of
ours, and the database it reports is checked before anything is read or written.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from exlcap.annotate.review.keeper import kept
from exlcap.core.errors import ExlcapError
from exlcap.core.files import read_json, write_json
from exlcap.core.mongod import find_mongod

ADDRESS = "127.0.0.1"
DATABASE = "fiftyone"
NOTHING = ("nothing has been reviewed in this workspace yet", "run `exlcap review`")
PLUGINS = Path(__file__).parent / "plugins"
START_SECONDS = 60


def free_port(preferred: int = 0) -> int:
    """A free port of the loopback interface: the preferred one where it is free."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            try:
                probe.bind((ADDRESS, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ExlcapError(f"no free port on {ADDRESS}", "close some programs")


@contextmanager
def database(folder: Path, share: bool) -> Iterator[str]:
    """Address (URI with the key) of a mongod that keeps its files in `folder`/db, stopped at the end.

    share: use the one that another command of this workspace runs, and leave it running, instead of raising.
    Raises ExlcapError when another command runs one and `share` is not set, or when it does not start.
    """
    served = running(folder)
    if served is not None:
        if not share:
            raise ExlcapError("a review of this workspace is already running", "use it, or stop it there with Ctrl-C")
        yield served
        return
    port = free_port()
    # not in the workspace: its disk may have no file owners (exFAT), and mongod refuses a key that others could read
    with TemporaryDirectory(prefix="exlcap-review-") as private:
        key = Path(private, "mongod.key")
        key.write_text(secrets.token_hex(32))
        key.chmod(0o600)
        with kept(_mongod(folder, port, key), folder / "mongod.out") as process:
            uri = _uri(key, port)
            _wait_until_ready(process, folder, uri)
            write_json(folder / "mongod.json", {"port": port, "key": str(key)})
            try:
                yield uri
            finally:
                (folder / "mongod.json").unlink(missing_ok=True)


def _mongod(folder: Path, port: int, key: Path) -> list[str | Path | int]:
    """Command that starts the database."""
    (folder / "db").mkdir(parents=True, exist_ok=True)
    return [find_mongod(), "--dbpath", folder / "db", "--logpath", folder / "mongod.log", "--logappend",
            "--keyFile", key, "--bind_ip", ADDRESS,
            "--port", port, *([] if os.name == "nt" else ["--nounixsocket"])]  # fmt: skip


def _uri(key: Path, port: int) -> str:
    """Address of the mongod at `port`, as the internal user of its key file, so that no account has to be stored."""
    # FiftyOne asks the database once more when Python ends, and would wait 30 s for one that has been stopped
    return f"mongodb://__system:{key.read_text()}@{ADDRESS}:{port}/?authSource=local&serverSelectionTimeoutMS=2000"


def _wait_until_ready(process: subprocess.Popen[bytes], folder: Path, uri: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while _path_served(uri) is None:
        if process.poll() is not None or time.monotonic() > deadline:
            raise ExlcapError(
                f"the review database did not start (mongod's exit code: {process.poll()})",
                f"see the end of {folder / 'mongod.log'}; free disk space, or stop whatever else uses {folder / 'db'}",
            )
        time.sleep(0.1)


def running(folder: Path) -> str | None:
    """Address of the mongod that serves `folder`/db now; None when none does."""
    if not (folder / "mongod.json").exists():
        return None
    note = read_json(folder / "mongod.json", "database note")
    if not Path(note.get("key", "gone")).is_file():  # left by a power cut, or by an older exlcap
        return None
    uri = _uri(Path(note["key"]), int(note["port"]))
    return uri if _path_served(uri) == (folder / "db").resolve() else None


def _path_served(uri: str) -> Path | None:
    """Folder of the database that a mongod serves; None when none accepts this key."""
    import pymongo
    from pymongo.errors import PyMongoError

    client: Any = pymongo.MongoClient(uri, serverSelectionTimeoutMS=500)
    try:
        return Path(client.admin.command("getCmdLineOpts")["parsed"]["storage"]["dbPath"]).resolve()
    except (PyMongoError, KeyError):
        return None
    finally:
        client.close()


def stored(uri: str, dataset: str) -> tuple[Any, Any]:
    """Id of a FiftyOne data set and the collection of its samples in the database at `uri`.

    Read straight from the database, without importing FiftyOne. Raises ExlcapError when it does not exist.
    """
    import pymongo

    held = pymongo.MongoClient[Any](uri)[DATABASE]
    entry = held.datasets.find_one({"name": dataset})
    if entry is None:
        raise ExlcapError(*NOTHING)
    return entry["_id"], held[entry["sample_collection_name"]]


def has_format(uri: str, dataset: str, number: int) -> bool:
    """Whether the database at `uri` has the FiftyOne data set, completely made, in this format of ours."""
    import pymongo

    wanted = {"name": dataset, "info.format": number}
    return pymongo.MongoClient[Any](uri)[DATABASE].datasets.find_one(wanted) is not None


def environment(uri: str) -> dict[str, str]:
    """Variables that make FiftyOne use the database at `uri`, stay on the loopback interface, and send no telemetry."""
    return {
        "FIFTYONE_DATABASE_URI": uri,
        "FIFTYONE_DATABASE_NAME": DATABASE,
        "FIFTYONE_DATABASE_VALIDATION": "false",  # silences its notice about the age of mongod 6
        "FIFTYONE_DEFAULT_APP_ADDRESS": ADDRESS,
        "FIFTYONE_DO_NOT_TRACK": "true",
        "FIFTYONE_LOGGING_LEVEL": "ERROR",  # no banner
        "FIFTYONE_PLUGINS_DIR": str(PLUGINS),
        "FIFTYONE_SHOW_PROGRESS_BARS": "false",
    }


def fiftyone_on(folder: Path, uri: str) -> ModuleType:
    """FiftyOne, imported so that it uses the mongod at `uri`, stays on the loopback interface, and sends no telemetry.

    Raises ExlcapError, before anything is touched, when it uses another database than `folder`/db.
    """
    os.environ.pop("FIFTYONE_PRIVATE_DATABASE_PORT", None)  # set by another FiftyOne, it would win over the address
    os.environ.update(environment(uri))
    import fiftyone as fo
    from fiftyone.core import odm

    served = odm.get_db_client().admin.command("getCmdLineOpts")["parsed"]["storage"]["dbPath"]
    if Path(served).resolve() != (folder / "db").resolve():
        raise ExlcapError(
            f"FiftyOne is attached to another database, {served}",
            "run exlcap in a process of its own, which has not imported FiftyOne",
        )
    module: ModuleType = fo
    return module
