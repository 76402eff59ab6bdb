"""Values as plain types and tensors, which is all that a file read with weights_only may hold."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import torch

PLAIN = (type(None), bool, int, float, bytes)


def as_tensors(values: Any) -> Any:
    """`values` with every array in it, however deep in dicts, as a tensor."""
    if isinstance(values, dict):
        return {key: as_tensors(value) for key, value in values.items()}
    return torch.from_numpy(np.ascontiguousarray(values)) if isinstance(values, np.ndarray) else values


def as_arrays(values: Any) -> Any:
    """`values` with every tensor in it, however deep in dicts, as an array."""
    if isinstance(values, dict):
        return {key: as_arrays(value) for key, value in values.items()}
    return values.numpy() if isinstance(values, torch.Tensor) else values


def canonical(values: Any) -> Any:
    """The same values in a form of which torch.save makes the same bytes whatever way they came about.

    It writes a string or a container once that two names stand for, and the whole storage of a tensor that is a part
    of another: what a run had loaded would differ in that from what it computed. Raises TypeError for other types,
    numpy's numbers among them, which could not be read back.
    """
    if isinstance(values, dict):
        return {canonical(key): canonical(value) for key, value in values.items()}
    if isinstance(values, (list, tuple)):
        return type(values)(canonical(value) for value in values)
    if isinstance(values, str):
        return sys.intern(values)
    if isinstance(values, torch.Tensor):
        whole = values.untyped_storage().nbytes() == values.nbytes
        return values if whole and values.is_contiguous() else values.detach().clone().contiguous()
    if type(values) not in PLAIN:
        raise TypeError(f"{type(values).__name__} is not a plain type")
    return values


def size_of(values: Any) -> int:
    """Bytes of the tensors in `values`, however deep in dicts and lists."""
    if isinstance(values, dict):
        return sum(map(size_of, values.values()))
    if isinstance(values, (list, tuple)):
        return sum(map(size_of, values))
    return values.nbytes if isinstance(values, torch.Tensor) else 0
