"""Small compiled pieces that the recursions of the haplotype decoder share."""

from __future__ import annotations

import numpy as np

from imputevae_cli.compiled import compiled

F = np.float32
BYTE = F(1.0 / 255.0)
TINY = F(1e-30)
_U64 = np.uint64

fast = compiled(nogil=True, fastmath=True, error_model="numpy")
# What a `fast` function calls is compiled into it. Otherwise the process that compiles may call another copy of it than
# those that load the result, and two copies round differently
inner = compiled(nogil=True, fastmath=True, error_model="numpy", forceinline=True)


@compiled(nogil=True)
def mix(key, counter):
    """A uint64 that looks random: splitmix64 of `key` and `counter` (Steele et al. 2014)."""
    z = _U64(key) + (_U64(counter) + _U64(1)) * _U64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> _U64(30))) * _U64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> _U64(27))) * _U64(0x94D049BB133111EB)
    return z ^ (z >> _U64(31))


@compiled(nogil=True)
def mix_each(key, counters):
    """`mix` of one key and each of `counters`, uint64 (N,)."""
    mixed = np.empty_like(counters)
    for i in range(counters.shape[0]):
        mixed[i] = mix(key, counters[i])
    return mixed


@compiled(nogil=True)
def uniform(key, counter):
    """A float32 in [0, 1) that depends on `key` and `counter` alone, whatever the order of the work."""
    return F(mix(key, counter) >> _U64(40)) * F(1.0 / 16777216.0)


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
def byte(p):
    """A probability as a byte, rounded."""
    return np.uint8(p * F(255) + F(0.5))


@inner
def share(p, unit):
    """A probability in units, rounded, uint16."""
    return np.uint16(p * F(unit) + F(0.5))
