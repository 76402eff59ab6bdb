"""Which kernel runs the recursions of the copying decoder: the compiled one on the CPU, or that in torch on a GPU."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

import numpy as np
import torch

from imputevae_cli.decoders.copying import kernel, kernel_likelihood, kernel_torch
from imputevae_cli.decoders.copying.sweep_block import SweepBlock

KernelName = Literal["compiled", "torch"]


class Kernel(Protocol):
    """One statement of the recursions; all give the same but for rounding."""

    def block_size(self, n_samples: int, per_task: int) -> int:
        """Samples that are read together, where a task of a thread takes `per_task`."""
        ...

    def sweep(self, block: SweepBlock) -> None:
        """Read one block of samples in one window; see `kernel.sweep`."""
        ...


class CompiledKernel(NamedTuple):
    """The kernel that is compiled for the CPU."""

    def block_size(self, n_samples: int, per_task: int) -> int:
        """See `Kernel`."""
        return per_task

    def sweep(self, block: SweepBlock) -> None:
        """See `Kernel`."""
        kernel.sweep(*block)


class LikelihoodKernel(NamedTuple):
    """The compiled kernel where calls are uncertain; see `kernel_likelihood.sweep`."""

    codes: np.ndarray
    table: np.ndarray
    frequency: np.ndarray

    def block_size(self, n_samples: int, per_task: int) -> int:
        """See `Kernel`."""
        return per_task

    def sweep(self, block: SweepBlock) -> None:
        """See `Kernel`."""
        kernel_likelihood.sweep(self.codes, self.table, self.frequency, *block)


class TorchKernel(NamedTuple):
    """The kernel in torch, of all samples of a window at once."""

    device: torch.device

    def block_size(self, n_samples: int, per_task: int) -> int:
        """See `Kernel`."""
        return n_samples

    def sweep(self, block: SweepBlock) -> None:
        """See `Kernel`."""
        kernel_torch.sweep(block, self.device)


def kernel_for(device: torch.device, name: KernelName | None = None) -> Kernel:
    """The kernel of this name, or, for None, the one that suits the device: torch on `cuda`, the compiled one on the
    CPU, and also for `mps`, where torch's many small steps over the loci do not pay."""
    if name is None:
        name = "torch" if device.type == "cuda" else "compiled"
    return TorchKernel(device) if name == "torch" else CompiledKernel()
