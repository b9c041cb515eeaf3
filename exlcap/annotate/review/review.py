"""A review: the App on the pairs of a workspace, and what it brings back to the labels."""

from __future__ import annotations

from exlcap.annotate.review.app import app_on, least_certain, serve, stop_on_signals
from exlcap.annotate.review.mongo import NOTHING, database, stored
from exlcap.annotate.review.previews import pairs_to_review, write_previews
from exlcap.annotate.review.pull import Pulled, pull
from exlcap.annotate.review.samples import update_samples
from exlcap.annotate.review.schema import NAME, prepare_dataset
from exlcap.core.console import say
from exlcap.core.errors import ExlcapError
from exlcap.core.workspace import Workspace


def review(workspace: Workspace, scene: str | None) -> None:
    """Serve the App until Ctrl-C or SIGTERM. Edits of an earlier review are pulled before its samples are renewed.

    scene: only the takes of this one. Raises ExlcapError when there is nothing to review, a review of this workspace is
    running, or database or App do not start.
    """
    stop_on_signals()
    pairs = pairs_to_review(workspace, scene)
    folder = workspace.root / "review"
    write_previews(folder / "media", pairs)
    with database(folder, share=False) as uri:
        prepare_dataset(folder, uri)
        with app_on(folder, uri) as app:  # it starts while samples are written
            dataset_id, samples = stored(uri, NAME)
            pulled = pull(workspace, samples)
            if pulled.changes or pulled.problems:
                say(f"from the last review:\n{pulled.text()}")
                pairs = pairs_to_review(workspace, scene)
            count = update_samples(samples, dataset_id, pairs, folder / "media", keep=pulled.broken)
            say(f"{len(pairs)} pairs to review, {count} of them new or changed")
            serve(app, least_certain(samples, scene))


def pull_review(workspace: Workspace) -> Pulled:
    """Bring edits and decisions to the labels, also while a review runs. Raises ExlcapError when there was none yet."""
    folder = workspace.root / "review"
    if not (folder / "db").is_dir():
        raise ExlcapError(*NOTHING)
    with database(folder, share=True) as uri:
        return pull(workspace, stored(uri, NAME)[1])
