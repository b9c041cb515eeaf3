"""Lighting-specific batch normalisation (LSBN, Lee et al. 2023, section 4.2): one BatchNorm per lighting condition.

A batch is ordered [low..., well...]. How many of its images are low-light is said once per forward pass, in the
`Lighting` that all layers of a model share, so an LSBN takes and gives one tensor, as a BatchNorm2d does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

Norm = Callable[[int], nn.Module]
"""Makes the normalisation layer for a number of channels."""


class Lighting:
    """How many images at the head of the batch in flight are low-light; the rest are well-lit."""

    def __init__(self) -> None:
        self._n_low: int | None = None

    @property
    def n_low(self) -> int:
        """Number of low-light images. Raises RuntimeError outside `batch`."""
        if self._n_low is None:
            raise RuntimeError("the lighting of this batch was never said: call the model, not a layer of it")
        return self._n_low

    @contextmanager
    def batch(self, size: int, n_low: int) -> Iterator[None]:
        """Say that a batch of `size` images holds `n_low` low-light ones, for the length of a ``with`` block."""
        if not 0 <= n_low <= size:
            raise ValueError(f"n_low must be between 0 and the batch size {size}, got {n_low}")
        self._n_low = n_low
        try:
            yield
        finally:
            self._n_low = None


class LSBN2d(nn.Module):
    """Stands in for BatchNorm2d: the low-light head of the batch goes through `low`, the rest through `well`."""

    def __init__(self, channels: int, lighting: Lighting) -> None:
        super().__init__()
        self.low = nn.BatchNorm2d(channels)
        self.well = nn.BatchNorm2d(channels)
        self._lighting = lighting

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each condition with its own statistics. x: (N, C, H, W); the same shape comes back."""
        n_low = self._lighting.n_low
        if n_low == 0:
            return self.well(x)  # type: ignore[no-any-return]
        if n_low == len(x):
            return self.low(x)  # type: ignore[no-any-return]
        return torch.cat([self.low(x[:n_low]), self.well(x[n_low:])])
