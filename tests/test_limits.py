"""A test that hangs is a failure that names itself and shows where every thread is; the others still run."""

import subprocess
import sys
from pathlib import Path

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
