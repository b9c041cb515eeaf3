"""The machine a run uses: its device, its number format, its memory."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator

import torch

from exlcap.train.config import MachineConfig

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def keep_memory() -> None:
    """Let the process keep the memory of freed tensors for the next ones (glibc only; elsewhere nothing happens).

    By default every large tensor is new memory from the system, which clears it page by page: a ReLU of 50 MB took
    27 ms instead of 3.
    """
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):  # another C library has no mallopt
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, -1)


@contextlib.contextmanager
def autocast(device: torch.device, machine: MachineConfig) -> Iterator[None]:
    """Run convolutions in the configured number format; "fp32" changes nothing."""
    kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(machine.precision)
    with torch.autocast(device.type, dtype=kind or torch.bfloat16, enabled=kind is not None):
        yield
