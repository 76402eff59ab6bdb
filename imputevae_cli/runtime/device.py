"""The device to compute on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch

from imputevae_cli.errors import ConfigError

# A process that is forked has none of the threads that torch started before, and waits for them for ever
os.register_at_fork(after_in_child=partial(torch.set_num_threads, 1))


def choose_device(name: str) -> torch.device:
    """`cpu`, `cuda` (or `gpu`), `mps`, or `auto` for the fastest there is. Raises ConfigError for an absent one."""
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device("cuda" if present["cuda"] else "mps" if present["mps"] else "cpu")
    kind = "cuda" if name == "gpu" else name
    if not present[kind]:
        here = ", ".join(device for device, there in present.items() if there)
        raise ConfigError(f"device {name} is not on this machine (there is: {here}); give --device auto or cpu")
    return torch.device(kind)


def check_precision(device: torch.device, name: str) -> None:
    """Raise ConfigError where the device does not compute in `name`, the setting train.precision."""
    if name == "bf16" and not (
        device.type == "cpu" or (device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False))
    ):
        raise ConfigError(f"device {device.type} does not compute in bf16; leave train.precision at float32")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the machine's or the device's memory did not suffice."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    # torch's allocator of the CPU raises a plain RuntimeError
    return isinstance(error, RuntimeError) and ("out of memory" in str(error) or "can't allocate memory" in str(error))


@contextmanager
def kernel_threads(n: int) -> Iterator[None]:
    """Let every kernel of torch take `n` threads. For small tensors more than one wait longer than they work."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)
