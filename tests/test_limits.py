"""A test that hangs is a failure that names itself and shows where every thread is; the others still run."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TESTS = """
import collections, itertools, threading

def test_before():
    pass

def test_hangs():
    HANGS

def test_after():
    pass
"""
WAITS_FOR_A_THREAD = """
    thread = threading.Thread(target=threading.Event().wait, name="waits-for-ever", daemon=True)
    thread.start()
    thread.join()
"""
NEVER_LEAVES_C = "collections.deque(itertools.count(), maxlen=0)"


def run(folder: Path, hangs: str, *options: str) -> str:
    """What pytest says, with the settings of this project but shorter limits."""
    (folder / "test_it.py").write_text(TESTS.replace("HANGS", hangs))
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "-p", "no:cacheprovider", *options]
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_wait_for_a_thread_fails_with_all_stacks(tmp_path):
    said = run(tmp_path, WAITS_FOR_A_THREAD, "-o", "timeout=6")
    assert "test_hangs - Failed: Timeout" in said and "Stack of waits-for-ever" in said, said
    assert "1 failed, 2 passed" in said, said


def test_what_no_python_code_can_interrupt_ends_its_worker_alone(tmp_path):
    said = run(tmp_path, NEVER_LEAVES_C, "-n", "1", "-o", "timeout=6", "-o", "faulthandler_timeout=12")
    assert "crashed while running" in said and "in test_hangs" in said, said
    assert "1 failed, 2 passed" in said, said


LEAVES_A_THREAD = 'threading.Thread(target=threading.Event().wait, name="never-joined").start()'


@pytest.mark.parametrize("workers", [(), ("-n", "1")])
def test_a_thread_that_is_left_running_fails_its_test_and_the_process_ends(tmp_path, workers):
    conftest = (ROOT / "tests" / "conftest.py").read_text(encoding="utf-8")
    (tmp_path / "conftest.py").write_text(conftest.replace("GRACE_S = 10.0", "GRACE_S = 0.5"))
    said = run(tmp_path, LEAVES_A_THREAD, *workers)
    assert "left running: never-joined" in said and "3 passed, 1 error" in said, said
