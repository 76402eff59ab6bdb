"""Several processes that share a fit, joined by torch.distributed: gloo on CPUs, NCCL on GPUs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import BytesIO
from typing import Any

import numpy as np
import torch
from torch import Tensor

from imputevae_cli.errors import ConfigError, PeerLost
from imputevae_cli.runtime.processes import Ranks

PATIENCE = timedelta(days=30)
"""How long a process waits for another, which may be at work by itself; gloo gives up after half an hour."""
COUNTS_AT_ONCE = 1 << 20
TRAVELS_ALONE = 1 << 16


class Group(Ranks):
    """One of several processes. Where another has ended, every method raises PeerLost."""

    def __init__(self, rank: int, size: int, local_rank: int = 0, device: str = "cpu"):
        """Join the others, who are found by MASTER_ADDR and MASTER_PORT of the environment.

        local_rank: the process's number on its machine, and that of its GPU. device: cpu or cuda. Raises ConfigError
        where there is no such GPU, or the others cannot be reached.
        """
        import torch.distributed

        self.rank, self.size = rank, size
        if device == "cuda":
            n_gpus = torch.cuda.device_count()
            if local_rank >= n_gpus:
                raise ConfigError(
                    f"{n_gpus} GPUs do not serve process {local_rank + 1} of this machine; start {n_gpus}"
                )
            torch.cuda.set_device(local_rank)
        backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
        try:
            torch.distributed.init_process_group(backend, rank=rank, world_size=size, timeout=PATIENCE)
        except (RuntimeError, ValueError) as error:
            reason = str(error).split("\n")[0]
            raise ConfigError(f"the processes cannot join ({reason}); start them with torchrun") from error

    def add(self, *tensors: Tensor) -> None:
        """See `Ranks`. Small tensors travel as one, since each journey takes its time; large ones need no copy so."""
        small = [tensor for tensor in tensors if tensor.numel() < TRAVELS_ALONE]
        large = [tensor for tensor in tensors if tensor.numel() >= TRAVELS_ALONE]
        for tensor in large:
            self._reduce(tensor, torch.distributed.ReduceOp.SUM)
        if not small:
            return
        together = torch.cat([tensor.reshape(-1) for tensor in small])
        self._reduce(together, torch.distributed.ReduceOp.SUM)
        for tensor, total in zip(small, together.split([t.numel() for t in small]), strict=True):
            tensor.copy_(total.view_as(tensor))

    def add_counts(self, counts: np.ndarray) -> None:
        """See `Ranks`."""
        flat = counts.reshape(-1)
        for start in range(0, flat.size, COUNTS_AT_ONCE):  # so that what is held beside them is small
            some = flat[start : start + COUNTS_AT_ONCE]
            wide = torch.from_numpy(some.astype(np.int32))
            self._reduce(wide, torch.distributed.ReduceOp.SUM)
            some[:] = wide.numpy()

    def merge(self, *arrays: np.ndarray) -> None:
        """See `Ranks`. The greatest of bytes that are all alike or zero is that which was written."""
        together = np.concatenate([np.ascontiguousarray(array).reshape(-1).view(np.uint8) for array in arrays])
        self._reduce(torch.from_numpy(together), torch.distributed.ReduceOp.MAX)
        start = 0
        for array in arrays:
            array[...] = together[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
            start += array.nbytes

    def greatest(self, *numbers: int) -> tuple[int, ...]:
        """See `Ranks`."""
        together = torch.tensor(numbers)
        self._reduce(together, torch.distributed.ReduceOp.MAX)
        return tuple(together.tolist())

    def told(self, state: Any) -> Any:
        """See `Ranks`. It travels as a checkpoint is written, and is read as carefully."""
        file = BytesIO()
        if self.leads:
            torch.save(state, file)
        (length,) = self.greatest(file.tell())
        text = torch.frombuffer(bytearray(file.getvalue() or length), dtype=torch.uint8)
        with _among_peers():
            torch.distributed.broadcast(text, src=0)
        return state if self.leads else torch.load(BytesIO(text.numpy().data), weights_only=True)

    def leave(self) -> None:
        """See `Ranks`."""
        torch.distributed.destroy_process_group()

    def _reduce(self, tensor: Tensor, how: Any) -> None:
        with _among_peers():
            torch.distributed.all_reduce(tensor, how)


@contextmanager
def _among_peers() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise PeerLost("another process of this run has ended; what it said itself tells why") from error
