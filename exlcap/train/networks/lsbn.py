"""Lighting-specific batch normalisation (LSBN, Lee et al. 2023, section 4.2): one BatchNorm per lighting condition.

A batch is ordered [low..., well...]. The number of its low-light images is set once per forward pass, in the
`BatchLights` that all layers of a model share, so an LSBN maps one tensor to one tensor, as a BatchNorm2d does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

Norm = Callable[[int], nn.Module]
"""Makes the normalisation layer for a number of channels."""


class BatchLights:
    """How many images at the head of the batch in flight are low-light; the rest are well-lit."""

    def __init__(self) -> None:
        self._n_low: int | None = None

    @property
    def n_low(self) -> int:
        """Number of low-light images. Raises RuntimeError outside `batch`."""
        if self._n_low is None:
            raise RuntimeError("the lights of this batch are not known: call the model, not one of its layers")
        return self._n_low

    @contextmanager
    def batch(self, size: int, n_low: int) -> Iterator[None]:
        """For the length of a ``with`` block, a batch of `size` images of which the first `n_low` are low-light."""
        if not 0 <= n_low <= size:
            raise ValueError(f"n_low must be between 0 and the batch size {size}, got {n_low}")
        self._n_low = n_low
        try:
            yield
        finally:
            self._n_low = None


class ApartBN2d(nn.BatchNorm2d):
    """One BatchNorm for both lights that sees them one after the other, as in the official code, where the lights go
    through the network in two passes: in training each is normalised by its own statistics, in testing both by the
    same running mixture of them.
    """

    def __init__(self, channels: int, lights: BatchLights) -> None:
        super().__init__(channels)
        self._lights = lights

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W), the low-light images first; the same shape comes back."""
        n_low = self._lights.n_low
        if not self.training or n_low in (0, x.shape[0]):
            return super().forward(x)
        return torch.cat([super().forward(x[:n_low]), super().forward(x[n_low:])])


class LSBN2d(nn.Module):
    """In place of a BatchNorm2d: the low-light images of a batch go through `low`, the rest through `well`."""

    def __init__(self, channels: int, lights: BatchLights) -> None:
        super().__init__()
        self.low = nn.BatchNorm2d(channels)
        self.well = nn.BatchNorm2d(channels)
        self._lights = lights

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each condition with its own statistics. x: (N, C, H, W); the same shape comes back."""
        n_low = self._lights.n_low
        if n_low == 0:
            return self.well(x)  # type: ignore[no-any-return]
        if n_low == len(x):
            return self.low(x)  # type: ignore[no-any-return]
        trains = self.low.training and self.well.training
        if trains and x.device.type == "cpu" and not torch.compiler.is_compiling():
            return self._at_once(x, n_low)
        return torch.cat([self.low(x[:n_low]), self.well(x[n_low:])])

    def _at_once(self, x: Tensor, n_low: int) -> Tensor:
        """Training on the CPU: like the plain path, without the copies of slicing and concatenation."""
        for norm in (self.low, self.well):
            assert norm.num_batches_tracked is not None
            norm.num_batches_tracked += 1
        low, well = self.low, self.well
        out: Tensor = _NormParts.apply(x, n_low, low.weight, low.bias, well.weight, well.bias, low, well)  # type: ignore[no-untyped-call]
        return out


class _NormParts(torch.autograd.Function):
    """Training-mode batch normalisation of both parts of a batch, written into one tensor; so is its gradient."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, n_low: int, low_weight: Tensor, low_bias: Tensor, well_weight: Tensor, well_bias: Tensor,
        low: nn.BatchNorm2d, well: nn.BatchNorm2d,
    ) -> Tensor:  # fmt: skip
        """x: (N, C, H, W). The running statistics of `low` and `well` move on."""
        out = torch.empty_like(x)
        saved = []
        parts = ((slice(0, n_low), low, low_weight, low_bias), (slice(n_low, None), well, well_weight, well_bias))
        for part, norm, weight, bias in parts:
            mean, inverse_std = torch.empty_like(norm.running_mean), torch.empty_like(norm.running_mean)  # type: ignore[arg-type]
            torch.ops.aten.native_batch_norm.out(
                x[part], weight, bias, norm.running_mean, norm.running_var, True, norm.momentum, norm.eps,
                out=out[part], save_mean=mean, save_invstd=inverse_std,
            )  # fmt: skip
            saved += [weight, mean, inverse_std]
        ctx.save_for_backward(x, *saved)
        ctx.n_low, ctx.eps = n_low, low.eps
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of x and of both layers' weights and biases."""
        x, *saved = ctx.saved_tensors
        grad_x, grads = torch.empty_like(x), []
        for part, (weight, mean, inverse_std) in (
            (slice(0, ctx.n_low), saved[:3]),
            (slice(ctx.n_low, None), saved[3:]),
        ):
            grad_x[part], *rest = torch.ops.aten.native_batch_norm_backward(
                grad[part], x[part], weight, None, None, mean, inverse_std, True, ctx.eps, [True] * 3
            )
            grads += rest
        return grad_x, None, *grads, None, None
