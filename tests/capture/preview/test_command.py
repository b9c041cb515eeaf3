"""`exlcap preview` as a process: it says where the page is, and ends cleanly."""

import os
import re
import signal
import subprocess
import urllib.request

import pytest

from exlcap.capture.preview.serve import listen
from exlcap.core.take import read_take
from tests.capture.conftest import SMALL, exlcap_command, make_lab
from tests.capture.preview.serving import Page, status_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one process on Windows"),
]


@pytest.fixture
def lab(tmp_path):
    """Two steps, and pulses so far apart that a busy machine has time to interrupt a take."""
    few, slow = {"outdoor = [1, 2, 4, 8, 12]": "outdoor = [1, 4]"}, {"pulse_hz = 20.0": "pulse_hz = 4.0"}
    return make_lab(tmp_path / "lab", {**SMALL, **few, **slow})


@pytest.fixture
def start(lab):
    """Start a preview: the process, the address it printed, and what it said of it.

    Both lines are read here, since `communicate` loses what was read ahead. No process outlives its test.
    """
    started = []

    def start(*arguments):
        line = exlcap_command(lab, "preview", *arguments)
        process = subprocess.Popen(line, stderr=subprocess.PIPE, text=True)
        started.append(process)
        said = process.stderr.readline()
        url = re.search(r"preview: (http://\S+)", said)
        assert url, said + process.stderr.read()
        return process, url[1], process.stderr.readline()

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stderr.close()


def ended(process, stop):
    """Exit code and what it said, after a signal."""
    process.send_signal(stop)
    _, said = process.communicate()
    return process.returncode, said


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_it_begins_with_a_scene_and_ends_cleanly(lab, start, stop):
    process, url, _ = start("--scene", "quay")
    page = Page(url.rstrip("/"))
    state = page.until(lambda state: state["phase"] == "live")
    assert state["wanted"]["scene"] == "quay" and url.endswith("/")
    code, said = ended(process, stop)
    assert code == 0 and "stopped; the cameras are released" in said and "Traceback" not in said, said
    assert not (lab.simulated / "frames").exists()


def test_ctrl_c_while_recording_leaves_a_take_that_can_be_finished(lab, start):
    process, url, _ = start("--scene", "plaza")
    page = Page(url.rstrip("/"))
    page.until(lambda state: state["phase"] == "live")
    assert page.do("shoot", pairs=6)[0] == 200
    page.until(lambda state: state["shooting"] and state["shooting"]["done"] >= 2)
    code, said = ended(process, signal.SIGINT)
    assert code == 0 and "Traceback" not in said, said
    take = read_take(lab.scene("plaza") / "take-001")
    assert take.header.status == "stopped" and 2 <= len(take.pairs) < 12
    again = subprocess.run(
        exlcap_command(lab, "shoot", "--scene", "plaza", "--resume", "--json"), capture_output=True, check=False
    )
    assert again.returncode == 0 and read_take(take.folder).missing() == {}


def test_beyond_this_machine_a_token_is_printed_and_needed(start):
    process, url, note = start("--address", "0.0.0.0")
    base, _, token = url.partition("/?token=")
    base = base.replace("0.0.0.0", "127.0.0.1")
    assert len(token) >= 20
    assert status_of(lambda: urllib.request.urlopen(base + "/")) == 403
    assert status_of(lambda: urllib.request.urlopen(f"{base}/?token={token}")) == 200
    assert "the network can read along" in note
    assert ended(process, signal.SIGINT)[0] == 0


def refused(lab, *arguments):
    """What a preview says that cannot be served."""
    done = subprocess.run(exlcap_command(lab, "preview", *arguments), capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    return done.stderr


def test_an_address_that_is_not_ours_is_told(lab):
    assert "cannot listen on 192.0.2.1" in refused(lab, "--address", "192.0.2.1")


def test_the_port_that_is_asked_for_is_the_only_one_tried(lab):
    with listen("127.0.0.1", 0) as taken:
        assert "cannot listen on 127.0.0.1" in refused(lab, "--port", str(taken.getsockname()[1]))
