"""A process of its own that makes a data set, is killed at one of its writes, and makes it once more; again and again.

``python tests/dataset/killed_at_a_write.py FOLDER PLACES KILLS SEED ARGUMENT...``: ARGUMENT... is the exlcap command
that makes the data set FOLDER. It is killed at KILLS of its PLACES, drawn with SEED, the last one always among them.
Prints a JSON list with a record of every kill.

Every write of a record is two places: before its temporary file is opened, and before that takes the place of the old
content. Python reports both as audit events, so that nothing of exlcap is replaced. The kills hit forks of this
process, which has no threads: they start with everything imported, and die by a real SIGKILL.
"""

import json
import os
import random
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import exlcap.cli
import exlcap.dataset.build
import exlcap.dataset.commands
import exlcap.dataset.formats.commands
import exlcap.dataset.formats.import_exlpose
import exlcap.dataset.formats.import_ocn
import exlcap.dataset.simulated.commands
import exlcap.dataset.simulated.photo_set
from exlcap.dataset.manifest import read_manifest


def exlcap_in_fork(folder: Path, arguments: list[str], at: int | None = None) -> int:
    """Exit code of a command, negative for the signal that killed it. at: the number of the place to be killed at."""
    child = os.fork()
    if child == 0:
        places = iter(range(10_000))
        if at is not None:
            sys.addaudithook(lambda event, details: kill_at(at, places) if is_place(folder, event, details) else None)
        code = 1
        try:
            exlcap.cli.main(arguments)
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def is_place(folder: Path, event: str, details: tuple) -> bool:
    """Whether an audit event is the opening or renaming of a temporary file of a record; images are no records."""
    if event not in ("open", "os.rename") or not isinstance(details[0], str | os.PathLike):
        return False
    path = Path(details[0])
    return path.suffix == ".tmp" and path.parent in (folder, folder / "annotations")


def kill_at(at: int, places: Iterator[int]) -> None:
    if next(places) == at:
        os.kill(os.getpid(), signal.SIGKILL)


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones as well."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def main() -> None:
    folder, places, kills, seed, arguments = Path(sys.argv[1]), *map(int, sys.argv[2:5]), sys.argv[5:]
    output = os.dup(1)
    os.dup2(2, 1)  # what the commands print is not ours
    assert exlcap_in_fork(folder, arguments, at=places) == 0, f"there are more than {places} places"
    whole = content(folder)
    records = []
    for at in sorted({places - 1, *random.Random(seed).sample(range(places), kills - 1)}):
        shutil.rmtree(folder)
        killed = exlcap_in_fork(folder, arguments, at)
        status = read_manifest(folder).status if (folder / "dataset.json").exists() else "none"
        code = exlcap_in_fork(folder, arguments)
        now = content(folder)
        differ = sorted(name for name in whole.keys() | now.keys() if whole.get(name) != now.get(name))
        records.append({"at": at, "killed": killed, "status": status, "code": code, "differ": differ})
    os.write(output, json.dumps(records).encode())


main()
