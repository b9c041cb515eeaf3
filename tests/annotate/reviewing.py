"""What the review tests share: a labelled workspace, and the reviewer as a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pymongo

from exlcap.annotate.carry import carry
from exlcap.annotate.hand_labels import read_hand_labels
from exlcap.annotate.label import label_take
from exlcap.annotate.review import mongo
from exlcap.core.alignment import write_alignment
from exlcap.core.labels import read_labels, write_labels
from exlcap.core.workspace import Workspace
from exlcap.simulate.optics import true_alignment
from tests.conftest import make_take, make_workspace

COMMAND = [sys.executable, "-m", "exlcap"]


def labelled_workspace(root, changes=None, scenes=("plaza",), divisors=(1, 4)):
    """A workspace whose people have scores, lowest in the last pair of each take."""
    workspace = make_workspace(root, changes)
    alignment = true_alignment(workspace.rig)
    write_alignment(workspace.alignments / "align-001.json", alignment)
    for scene in scenes:
        take = make_take(workspace, scene, divisors, 1)
        images = read_hand_labels([workspace.simulated / scene / "take-001.json"])
        labels = label_take(workspace, take, "align-001", alignment, images)
        pairs = {}
        for number, (pair_id, pair) in enumerate(labels.pairs.items()):
            scored = [replace(p, scores=np.full(14, 0.9 - 0.1 * number), origin="network") for p in pair.well]
            pairs[pair_id] = carry(tuple(scored), alignment)
        write_labels(workspace.labels(scene, 1), replace(labels, pairs=pairs))
    return workspace


def labels_of(workspace: Workspace, scene="plaza"):
    return read_labels(workspace.labels(scene, 1)).pairs


def exlcap(workspace: Workspace, *arguments: str):
    return subprocess.run(
        [*COMMAND, "-C", str(workspace.root), *arguments], capture_output=True, text=True, check=False
    )


def pull(workspace: Workspace):
    """What `exlcap review pull` says."""
    done = exlcap(workspace, "review", "pull", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Reviewer:
    """`exlcap review` running on a workspace; stopped at the end in whatever state it is."""

    def __init__(self, workspace: Workspace, home) -> None:
        self.workspace = workspace
        self.log = workspace.root / "review.log"
        home.mkdir(exist_ok=True)
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "-C", str(workspace.root), "review"],
                stdout=log, stderr=log, env={**os.environ, "HOME": str(home)}, start_new_session=True,
            )  # fmt: skip

    def __enter__(self):
        while not (found := re.search(r"http://\S+", self.log.read_text())):
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.2)
        self.url = found[0]
        self.key = re.search(r"key=([^&]+)", self.url)[1]
        self.database = mongo.running(self.workspace.root / "review")
        return self

    def samples(self):
        """The collection of samples, as the App's server changes it."""
        database = pymongo.MongoClient(self.database).fiftyone
        return database[database.datasets.find_one({"name": "review"})["sample_collection_name"]]

    def stop(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        return self.process.wait()

    def __exit__(self, *_):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait()


def answers(database: str) -> bool:
    """Whether the database at an address still runs."""
    try:
        pymongo.MongoClient(database, serverSelectionTimeoutMS=300).admin.command("ping")
    except pymongo.errors.PyMongoError:
        return False
    return True
