"""Prints how the documents of our samples differ from what FiftyOne itself writes of the same: nothing, if all is well.

``python -m tests.annotate.fiftyones_own WORKSPACE``, in a process of its own, as FiftyOne sticks to one database.
"""

import sys
from pathlib import Path

from exlcap.annotate.review.mongo import database, fiftyone_on, stored
from exlcap.annotate.review.previews import SLICES, pairs_to_review
from exlcap.annotate.review.samples import update_samples
from exlcap.annotate.review.schema import NAME, prepare_dataset
from exlcap.core.workspace import Workspace

OWN = {"_id", "_rand", "_dataset_id", "created_at", "last_modified_at"}


def shape(value):
    """A document with types in place of what differs between two copies of a sample."""
    if isinstance(value, dict):
        return {name: shape(part) if name not in OWN else type(part).__name__ for name, part in value.items()}
    return [shape(part) for part in value] if isinstance(value, list) else repr(value)


def main(workspace):
    folder = workspace.root / "review"
    with database(folder, share=False) as uri:
        prepare_dataset(folder, uri)
        dataset_id, samples = stored(uri, NAME)
        update_samples(samples, dataset_id, pairs_to_review(workspace, None), folder / "media")
        fo = fiftyone_on(folder, uri)
        ours = fo.load_dataset(NAME)
        theirs = ours.clone("theirs")
        theirs.delete_samples(theirs.select_group_slices(list(SLICES)))
        theirs.add_samples([sample.copy() for sample in ours.select_group_slices(list(SLICES))])
        for sample in samples.find():
            same = {"pair_id": sample["pair_id"], "group.name": sample["group"]["name"]}
            (copy,) = stored(uri, "theirs")[1].find(same)
            for name in sorted(set(sample) | set(copy)):
                mine, own = shape({name: sample.get(name)}), shape({name: copy.get(name)})
                if mine != own:
                    print(same, f"\n  ours   {mine}\n  theirs {own}")


if __name__ == "__main__":
    main(Workspace(Path(sys.argv[1])))
