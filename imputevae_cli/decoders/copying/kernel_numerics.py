"""Small compiled pieces that the recursions of the copying decoder share."""

from __future__ import annotations

import numpy as np
from numba import njit

F = np.float32
BYTE = F(1.0 / 255.0)
TINY = F(1e-30)
_U64 = np.uint64

fast = njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
# What a `fast` function calls is compiled into it. Otherwise the process that compiles may call another copy of it than
# those that load the result, and two copies round differently
inner = njit(cache=True, nogil=True, fastmath=True, error_model="numpy", forceinline=True)


@njit(cache=True, nogil=True)
def mix(key, counter):
    """A uint64 that looks random: splitmix64 of `key` and `counter` (Steele et al. 2014)."""
    z = _U64(key) + (_U64(counter) + _U64(1)) * _U64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> _U64(30))) * _U64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> _U64(27))) * _U64(0x94D049BB133111EB)
    return z ^ (z >> _U64(31))


@njit(cache=True, nogil=True)
def mix_each(key, counters):
    """`mix` of one key and each of `counters`, uint64 (N,)."""
    mixed = np.empty_like(counters)
    for i in range(counters.shape[0]):
        mixed[i] = mix(key, counters[i])
    return mixed


@njit(cache=True, nogil=True)
def uniform(key, counter):
    """A float32 in [0, 1) that depends on `key` and `counter` alone, whatever the order of the work."""
    return F(mix(key, counter) >> _U64(40)) * F(1.0 / 16777216.0)


@njit(cache=True, nogil=True)
def uniforms(keys, counters):
    """`uniform` of each of `counters`, int64 (T,), with each of `keys`, uint64 (B,): float32 (T, B)."""
    draws = np.empty((counters.shape[0], keys.shape[0]), np.float32)
    for t in range(counters.shape[0]):
        for n in range(keys.shape[0]):
            draws[t, n] = uniform(keys[n], counters[t])
    return draws


@inner
def gather(panel, donors, start, n_loci, theta):
    """theta uint8 (n_loci, K) <- the donors' alleles; panel uint8 (rows, loci), donors int32 (K,)."""
    for k in range(donors.shape[0]):
        row = panel[donors[k]]
        for t in range(n_loci):
            theta[t, k] = row[start + t]


@inner
def fill_prior(prior, global_share, sample, donors, ploidy, pi):
    """pi float32 (K,) <- the copying prior over donors int32 (K,), summing to 1; prior of no rows is uniform.

    global_share: the prior of the last donor, which is no sample's haplotype; 0 where it is one like the others.
    """
    n_others = donors.shape[0] - (global_share > 0)
    total = F(0)
    for k in range(n_others):
        pi[k] = F(1) if prior.shape[0] == 0 else max(prior[sample, donors[k] // ploidy], F(1e-8))
        total += pi[k]
    if n_others < donors.shape[0]:
        pi[n_others] = total * F(global_share / (1.0 - global_share))
        total += pi[n_others]
    for k in range(donors.shape[0]):
        pi[k] /= total


@inner
def line(alt, error, span):
    """(base, slope): the chance of an allele is base + slope * the donor's byte; span: (1 - 2 error) / 255."""
    return F(error) if alt else F(1.0 - error), span if alt else -span


@inner
def emission(likelihood, facing):
    """What a cell's likelihoods, float32 (3,), say of a haplotype's REF and ALT, summing to 1, where the other's allele
    is ALT by the chance `facing`; one half each where they say nothing."""
    ref = (F(1) - facing) * likelihood[0] + facing * likelihood[1]
    alt = (F(1) - facing) * likelihood[1] + facing * likelihood[2]
    total = ref + alt
    return (ref / total, alt / total) if total > TINY else (F(0.5), F(0.5))


@inner
def sloped(ref, alt, error, span):
    """(base, slope) as in `line`, of an emission that is `ref` for REF and `alt` for ALT."""
    return ref + (alt - ref) * error, (alt - ref) * span


@inner
def next_switch(switch, locus, stop):
    """The switch probability before the next locus, 0 at the window's end."""
    return switch[locus + 1] if locus + 1 < stop else F(0)


@inner
def byte(p):
    """A probability as a byte, rounded."""
    return np.uint8(p * F(255) + F(0.5))


@inner
def share(p, unit):
    """A probability in units, rounded, uint16."""
    return np.uint16(p * F(unit) + F(0.5))
