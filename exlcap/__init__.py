"""exlcap: real low-light / well-lit image pairs of people, from the shutter to a trained pose network.

What a notebook needs:

- `open_workspace` gives a `Lab`: its takes, pairs and frames as arrays, alignments, labels, data sets and runs.
- `open_dataset` gives a `Dataset`: images and pairs with their people.
- `load_run` gives a `Run`, which predicts joints.

Every name is imported when it is first used, so ``import exlcap`` is quick and loads neither PyTorch nor OpenCV.

Examples:
    >>> import exlcap
    >>> lab = exlcap.open_workspace("lab")
    >>> for take in lab.takes("plaza"):
    ...     for pair in take.pairs:
    ...         well, low = pair.well.srgb(), pair.low.linear()
    >>> well.shape, low.dtype
    ((200, 320, 3), dtype('float32'))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exlcap.api.datasets import Dataset, DatasetImage, DatasetPair, open_dataset
    from exlcap.api.lab import Lab, open_workspace
    from exlcap.api.runs import Run, load_run
    from exlcap.api.takes import AlignedPair, LabFrame, LabPair, LabTake
    from exlcap.core.alignment import Alignment
    from exlcap.core.develop import amplified, to_srgb
    from exlcap.core.drawing import draw_people
    from exlcap.core.errors import ExlcapError, Refused
    from exlcap.core.joints import JOINTS, SKELETON
    from exlcap.core.labels import PairLabels, Person, TakeLabels
    from exlcap.core.rig import LIGHTS, Light, Rig
    from exlcap.train.results.inference import Predictions

__version__ = "0.2.0"

__all__ = [
    "JOINTS",
    "LIGHTS",
    "SKELETON",
    "AlignedPair",
    "Alignment",
    "Dataset",
    "DatasetImage",
    "DatasetPair",
    "ExlcapError",
    "Lab",
    "LabFrame",
    "LabPair",
    "LabTake",
    "Light",
    "PairLabels",
    "Person",
    "Predictions",
    "Refused",
    "Rig",
    "Run",
    "TakeLabels",
    "__version__",
    "amplified",
    "draw_people",
    "load_run",
    "open_dataset",
    "open_workspace",
    "to_srgb",
]

_MODULES = {
    "exlcap.api.datasets": ("Dataset", "DatasetImage", "DatasetPair", "open_dataset"),
    "exlcap.api.lab": ("Lab", "open_workspace"),
    "exlcap.api.runs": ("Run", "load_run"),
    "exlcap.api.takes": ("AlignedPair", "LabFrame", "LabPair", "LabTake"),
    "exlcap.core.alignment": ("Alignment",),
    "exlcap.core.develop": ("amplified", "to_srgb"),
    "exlcap.core.drawing": ("draw_people",),
    "exlcap.core.errors": ("ExlcapError", "Refused"),
    "exlcap.core.joints": ("JOINTS", "SKELETON"),
    "exlcap.core.labels": ("PairLabels", "Person", "TakeLabels"),
    "exlcap.core.rig": ("LIGHTS", "Light", "Rig"),
    "exlcap.train.results.inference": ("Predictions",),
}
"""Where each name above is defined, as the imports above tell type checkers; a test holds both lists equal."""


if not TYPE_CHECKING:  # a type checker that sees a module's __getattr__ takes every misspelt name for one of its names

    def __getattr__(name: str) -> Any:
        """Import a public name when it is first used (PEP 562)."""
        for module, names in _MODULES.items():
            if name in names:
                value = globals()[name] = getattr(import_module(module), name)
                return value
        raise AttributeError(f"module 'exlcap' has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names, loaded or not."""
    return sorted(__all__)
