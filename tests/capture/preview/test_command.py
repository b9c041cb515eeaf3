"""`exlcap preview` as a process: it says where the page is, and ends cleanly."""

import os
import re
import signal
import subprocess
import urllib.request

import pytest

from exlcap.core.take import read_take
from tests.capture.conftest import SMALL, exlcap_command, make_lab
from tests.capture.preview.serving import Page, status_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one process on Windows"),
]


@pytest.fixture
def lab(tmp_path):
    return make_lab(tmp_path / "lab", {**SMALL, "outdoor = [1, 2, 4, 8, 12]": "outdoor = [1, 4]"})


def start(lab, *arguments):
    """The process, the address it printed, and what it said of it: both lines are read here, since `communicate` loses
    what was read ahead.
    """
    line = exlcap_command(lab, "preview", *arguments)
    process = subprocess.Popen(line, stderr=subprocess.PIPE, text=True)
    url = re.search(r"preview: (http://\S+)", process.stderr.readline())
    return process, url[1], process.stderr.readline()


def ended(process, stop):
    """Exit code and what it said, after a signal."""
    process.send_signal(stop)
    _, said = process.communicate(timeout=60)
    return process.returncode, said


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_it_begins_with_a_scene_and_ends_cleanly(lab, stop):
    process, url, _ = start(lab, "--scene", "quay", "--port", "8971" if stop == signal.SIGINT else "8972")
    page = Page(url.rstrip("/"))
    state = page.until(lambda state: state["phase"] == "live")
    assert state["wanted"]["scene"] == "quay" and url.endswith("/")
    code, said = ended(process, stop)
    assert code == 0 and "stopped; the cameras are released" in said and "Traceback" not in said, said
    assert not (lab.simulated / "frames").exists()


def test_ctrl_c_while_recording_leaves_a_take_that_can_be_finished(lab):
    process, url, _ = start(lab, "--scene", "plaza")
    page = Page(url.rstrip("/"))
    page.until(lambda state: state["phase"] == "live")
    assert page.do("shoot", pairs=10)[0] == 200
    page.until(lambda state: state["shooting"] and state["shooting"]["done"] >= 2)
    code, said = ended(process, signal.SIGINT)
    assert code == 0 and "Traceback" not in said, said
    take = read_take(lab.scene("plaza") / "take-001")
    assert take.header.status == "stopped" and 2 <= len(take.pairs) < 20
    again = subprocess.run(
        exlcap_command(lab, "shoot", "--scene", "plaza", "--resume", "--json"), capture_output=True, check=False
    )
    assert again.returncode == 0 and read_take(take.folder).missing() == {}


def test_beyond_this_machine_a_token_is_printed_and_needed(lab):
    process, url, note = start(lab, "--address", "0.0.0.0")
    base, _, token = url.partition("/?token=")
    base = base.replace("0.0.0.0", "127.0.0.1")
    assert len(token) >= 20
    assert status_of(lambda: urllib.request.urlopen(base + "/")) == 403
    assert status_of(lambda: urllib.request.urlopen(f"{base}/?token={token}")) == 200
    assert "the network can read along" in note
    assert ended(process, signal.SIGINT)[0] == 0


def test_an_address_that_is_not_ours_is_told(lab):
    done = subprocess.run(
        exlcap_command(lab, "preview", "--address", "192.0.2.1"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "cannot listen on 192.0.2.1" in done.stderr and "Traceback" not in done.stderr
