import signal
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exlcap.core.errors import ExlcapError
from exlcap.core.files import append_jsonl, read_json, read_jsonl, sha256_file, write_atomic, write_json

RECORDS = st.lists(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=9), max_size=3), max_size=6)


def test_an_atomic_write_replaces_the_whole_file(tmp_path):
    path = tmp_path / "deep" / "file.bin"
    write_atomic(path, b"old")
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in path.parent.iterdir()] == ["file.bin"]


def test_a_write_that_finds_no_room_keeps_the_old_file_and_leaves_nothing_behind(tmp_path):
    path = tmp_path / "file.bin"
    write_atomic(path, b"old")
    code = (
        "import resource, signal, sys; from pathlib import Path; from exlcap.core.files import write_atomic\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "write_atomic(Path(sys.argv[1]), bytes(5000))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.bin"]


@given(records=RECORDS, torn=st.binary(max_size=20).filter(lambda b: b"\n" not in b))
def test_records_survive_a_torn_last_line(tmp_path_factory, records, torn):
    path = tmp_path_factory.mktemp("jsonl") / "list.jsonl"
    for record in records:
        append_jsonl(path, record)
    with path.open("ab") as stream:
        stream.write(torn)
    assert read_jsonl(path) == (records, bool(torn))
    append_jsonl(path, {"after": "the crash"})
    assert read_jsonl(path) == ([*records, {"after": "the crash"}], False)


def test_a_damaged_line_in_the_middle_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "list.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": \n{"a": 3}\n')
    with pytest.raises(ExlcapError, match="line 2 is damaged"):
        read_jsonl(path)


def test_a_missing_list_is_empty(tmp_path):
    assert read_jsonl(tmp_path / "none.jsonl") == ([], False)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"format": 1', "not valid JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b'{"format": 2}', "unknown format 2"),
        (b'{"format": true}', "unknown format True"),
        (b"[]", "unknown format None"),
    ],
)
def test_bad_json_is_named(tmp_path, content, message):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(ExlcapError, match=message):
        read_json(path, "take header", (1,))


def test_json_refuses_nan(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    assert not (tmp_path / "x.json").exists()


def test_a_checksum_is_that_of_sha256sum(tmp_path):
    write_atomic(tmp_path / "x", b"abc")
    assert sha256_file(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.slow
def test_kill_9_while_appending_loses_at_most_the_last_line(tmp_path):
    path = tmp_path / "list.jsonl"
    code = (
        "import sys, itertools; from pathlib import Path; from exlcap.core.files import append_jsonl\n"
        "for n in itertools.count(): append_jsonl(Path(sys.argv[1]), {'n': n, 'pad': 'x' * 5000}); print(n, flush=True)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = [int(process.stdout.readline()) for _ in range(20)][-1]
    process.send_signal(signal.SIGKILL)
    process.wait()
    records, _ = read_jsonl(path)
    numbers = [record["n"] for record in records]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) > said  # whatever was reported as written is there
