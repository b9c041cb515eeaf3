"""What is saved when the loss of a batch is not a number: the batch itself, and a picture of it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from exlcap.core.errors import ExlcapError
from exlcap.core.files import write_atomic
from exlcap.train.data.batches import Batch, PairCrop
from exlcap.train.data.heatmaps import to_input

BATCH, PICTURE = "nan-batch.pt", "nan-batch.png"
COLUMNS = 16


def not_a_number(
    folder: Path, batch: Batch, pairs: Sequence[PairCrop], losses: Mapping[str, float], epoch: int, number: int
) -> ExlcapError:
    """Save the batch in the run's folder and return the error to raise.

    pairs: the whole training set. losses: of the batch, by name. epoch, number: of the batch, from 1.
    """
    people = [f"{pairs[i].well.person.pair_id} {pairs[i].well.person.person_id}" for i in batch.people]
    content = {
        "epoch": epoch, "batch": number, "losses": dict(losses), "people": people, "n_low": batch.n_low,
        "images": batch.images.cpu(), "joints": batch.joints.cpu(), "labelled": batch.labelled.cpu(),
    }  # fmt: skip
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_atomic(folder / BATCH, buffer.getvalue())
    done, data = cv2.imencode(".png", picture(batch)[..., ::-1])
    assert done
    write_atomic(folder / PICTURE, data.tobytes())
    wrong = ", ".join(f"{name} {value}" for name, value in losses.items())
    return ExlcapError(
        f"the loss is not a number in epoch {epoch}, batch {number} ({wrong}); the batch is saved in {folder / BATCH}",
        f"look at {folder / PICTURE}: if the pictures are sound, start a new run with a lower optim.lr or lupi.weight "
        "in a config file; if they are broken, check their labels and images; people, losses and tensors: "
        f"`python -c \"import torch; print(torch.load('{BATCH}', weights_only=True))\"` in that folder",
    )


def picture(batch: Batch) -> npt.NDArray[np.uint8]:
    """The inputs in rows of up to 16, each stretched from its darkest to its brightest value, labelled joints in green.

    Pixels that are not a number are magenta. Returns uint8 (H, W, 3).
    """
    tiles = [
        _tile(image, to_input(joints)[labelled])
        for image, joints, labelled in zip(
            batch.images.float().cpu(), batch.joints.cpu(), batch.labelled.cpu(), strict=True
        )
    ]
    blank = np.zeros_like(tiles[0])
    columns = min(COLUMNS, len(tiles))
    tiles += [blank] * (-len(tiles) % columns)
    return np.vstack([np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)])


def _tile(image: Tensor, joints: Tensor) -> npt.NDArray[np.uint8]:
    pixels = image.permute(1, 2, 0).numpy()
    finite = np.isfinite(pixels).all(2)
    low, high = (pixels[finite].min(), pixels[finite].max()) if finite.any() else (0.0, 1.0)
    shown = 255 * (np.where(finite[..., None], pixels, low) - low) / max(high - low, 1e-6)
    tile = np.ascontiguousarray(np.rint(shown).astype(np.uint8))
    tile[~finite] = (255, 0, 255)
    for x, y in joints[torch.isfinite(joints).all(1)].clamp(-1e4, 1e4).round().int().tolist():
        cv2.circle(tile, (x, y), 2, (0, 255, 0), -1)
    return tile
