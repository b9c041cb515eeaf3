"""A trained run, ready to predict. Imports PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from exlcap.core.labels import Box
from exlcap.core.rig import Light
from exlcap.train.config import Config
from exlcap.train.results.inference import Predictions
from exlcap.train.results.picture import predict_people
from exlcap.train.results.trained import Trained, load_best


def load_run(folder: Path | str) -> Run:
    """Load the best weights of a training run, onto the GPU where there is one.

    Args:
        folder: The folder of the run, as ``lab/runs/main-ours``.

    Raises:
        ExlcapError: The run has no weights, or they are damaged or of another version.

    Examples:
        >>> run = exlcap.load_run("lab/runs/main-ours")
        >>> run.name, run.epoch
        ('main-ours', 1)
    """
    return Run(Path(folder), load_best(Path(folder)))


@dataclass(frozen=True)
class Run:
    """A trained run. Made by `load_run` and `Lab.run`.

    Attributes:
        folder: The folder of the run.
        trained: Its network, config and the epoch of its best weights.

    Examples:
        >>> run = lab.run("main-ours")
        >>> run.config.data
        'main'
    """

    folder: Path
    trained: Trained

    def __repr__(self) -> str:
        return f"Run({self.name!r}, method={self.method!r}, data={self.config.data!r}, epoch={self.epoch})"

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.folder.name

    @property
    def config(self) -> Config:
        """Every setting it was trained with."""
        return self.trained.config

    @property
    def method(self) -> str:
        """Row of the paper's tables: "ours", "lsbn", ..."""
        return self.trained.config.method.name

    @property
    def epoch(self) -> int:
        """The epoch of the weights that were best on the validation split."""
        return self.trained.epoch

    def predict(
        self,
        image: npt.NDArray[np.uint8],
        boxes: Sequence[Box] | npt.NDArray[np.float64],
        light: Light,
        flip: bool = True,
    ) -> Predictions:
        """Joints of the people in one image, as ``exlcap predict`` gives them.

        Args:
            image: uint8 (H, W, 3), RGB, sRGB. A dark image goes in as it is: brightening is part of the network.
            boxes: One box a person: x, y, width, height in pixels of the image; (N, 4).
            light: "well" or "low": whose BatchNorm statistics are used.
            flip: Average with the prediction of the mirrored image.

        Returns:
            Predictions, in the order of the boxes, with ``joints``, float64 (N, 14, 2) of x and y in pixel centres of
            the image, and ``scores``, float64 (N, 14), 0 to 1.

        Raises:
            ValueError: The image or the boxes have another shape or type, a box is not of finite numbers with width
                and height above 0, or the light is neither.
            ExlcapError: A box lies outside the image.

        Examples:
            >>> image = next(dataset.images("test_LL-A"))
            >>> people = run.predict(image.srgb(), [person.box for person in image.people], light="low")
            >>> people.joints.shape == (len(image.people), 14, 2)
            True
        """
        return predict_people(self.trained, image, boxes, light, "mirror" if flip else "none")
