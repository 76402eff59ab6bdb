"""What compiled kernels share: how they are compiled, and random numbers that do not hang on the order of the work."""

from __future__ import annotations

import numpy as np

from imputevae_cli.compiled import compiled

F = np.float32
TINY = F(1e-30)
Integer = int | np.uint64 | np.int64
_U64 = np.uint64

fast = compiled(nogil=True, fastmath=True, error_model="numpy")
# What a `fast` function calls is compiled into it. Otherwise the process that compiles may call another copy of it than
# those that load the result, and two copies round differently
inner = compiled(nogil=True, fastmath=True, error_model="numpy", forceinline=True)


@compiled(nogil=True)
def mix(key: Integer, counter: Integer) -> np.uint64:
    """A uint64 that looks random: splitmix64 of `key` and `counter` (Steele et al. 2014)."""
    z = _U64(key) + (_U64(counter) + _U64(1)) * _U64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> _U64(30))) * _U64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> _U64(27))) * _U64(0x94D049BB133111EB)
    return z ^ (z >> _U64(31))


@compiled(nogil=True)
def mix_each(key: Integer, counters: np.ndarray) -> np.ndarray:
    """`mix` of one key and each of `counters`, uint64 (N,)."""
    mixed = np.empty_like(counters)
    for i in range(counters.shape[0]):
        mixed[i] = mix(key, counters[i])
    return mixed


@compiled(nogil=True)
def uniform(key: Integer, counter: Integer) -> np.float32:
    """A float32 in [0, 1) that depends on `key` and `counter` alone, whatever the order of the work."""
    return F(mix(key, counter) >> _U64(40)) * F(1.0 / 16777216.0)


@compiled(nogil=True)
def uniforms(keys: np.ndarray, counters: np.ndarray) -> np.ndarray:
    """`uniform` of each of `counters`, int64 (T,), with each of `keys`, uint64 (B,): float32 (T, B)."""
    draws = np.empty((counters.shape[0], keys.shape[0]), np.float32)
    for t in range(counters.shape[0]):
        for n in range(keys.shape[0]):
            draws[t, n] = uniform(keys[n], counters[t])
    return draws
