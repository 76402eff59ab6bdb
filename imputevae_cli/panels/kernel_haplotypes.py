"""The compiled recursions that fill a haplotype between the loci at which it is known (Li and Stephens 2003).

The haplotype is a mosaic of K panel haplotypes (doi:10.1093/genetics/165.4.2213). With pi the prior of each, e the
emission at a typed locus and r the switch probability before it, the scaled recursions are

    forward   f[t] = e[t] * ((1 - r[t]) f[t - 1] + r[t] pi),             sum_k f = 1
    backward  b[t] = e[t] * ((1 - r[t + 1]) b[t + 1] + r[t + 1] pi),     sum_k b = 1

so that at a place between the typed loci t and t + 1, with a switch probability of q1 from the one and q2 from there to
the other, the state k has the weight

    ((1 - q1) f[t, k] + q1 pi[k]) * ((1 - q2) b[t + 1, k] + q2 pi[k]) / pi[k],

exactly, not by interpolation. Its sum over those who carry ALT needs four sums alone: of f b / pi, f, b and pi. They
are taken over groups of panel haplotypes that are alike between the two typed loci, as there are few.
"""

from __future__ import annotations

import numpy as np

from imputevae_cli.compiled import compiled
from imputevae_cli.runtime.kernel_basics import TINY, F, fast, inner

# Sums over the few states of a group are taken one by one: several at once, as a `fast` function does it, cost more
in_order = compiled(nogil=True, error_model="numpy", forceinline=True)


@fast
def group_gap(haplotypes: np.ndarray, groups: np.ndarray) -> int:
    """groups int (H,) <- numbers from 0 on of haplotypes, uint8 (loci, H) 0/1, that are alike; how many there are.

    The largest group is number 0."""
    n_loci, n_haplotypes = haplotypes.shape
    renamed = np.empty((n_haplotypes, 2), np.int32)
    groups[:] = 0
    n_groups = 1
    for locus in range(n_loci):
        renamed[:n_groups] = -1
        count = 0
        for h in range(n_haplotypes):
            old, allele = groups[h], haplotypes[locus, h]
            if renamed[old, allele] < 0:
                renamed[old, allele] = count
                count += 1
            groups[h] = renamed[old, allele]
        n_groups = count
    sizes = np.zeros(n_groups, np.int64)
    for h in range(n_haplotypes):
        sizes[groups[h]] += 1
    largest = np.argmax(sizes)
    for h in range(n_haplotypes):
        if groups[h] == largest:
            groups[h] = 0
        elif groups[h] == 0:
            groups[h] = largest
    return n_groups


@inner
def step(
    before: np.ndarray, now: np.ndarray, alt: np.float32, alleles: np.ndarray, pi: np.ndarray, switch: np.float32,
    error: np.float32,
) -> None:  # fmt: skip
    """now float32 (K,) <- the next of the recursions above, from `before`; alleles uint8 (K,), 0/1, of the states.

    alt: the chance of ALT by the haplotype's own data, .5 where nothing is known."""
    copied = error + (F(1) - F(2) * error) * alt
    slope = F(2) * copied - F(1)
    keep = F(1) - switch
    total = F(0)
    for k in range(pi.shape[0]):
        x = (keep * before[k] + switch * pi[k]) * (F(1) - copied + slope * F(alleles[k]))
        now[k] = x
        total += x
    scale = F(1) / max(total, TINY)
    for k in range(pi.shape[0]):
        now[k] *= scale


@fast
def sort_states(groups: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """The states in the order of their groups in every gap: (order uint16 (T + 1, K); edges int32 (T + 1, G + 1), where
    each group begins). groups int (T + 1, K), each below `most`, which is G."""
    n_gaps, n_states = groups.shape
    order = np.empty((n_gaps, n_states), np.uint16)
    edges = np.zeros((n_gaps, most + 1), np.int32)
    place = np.empty(most, np.int32)
    for t in range(n_gaps):
        for k in range(n_states):
            edges[t, groups[t, k] + 1] += 1
        for g in range(most):
            edges[t, g + 1] += edges[t, g]
            place[g] = edges[t, g]
        for k in range(n_states):
            g = groups[t, k]
            order[t, place[g]] = k
            place[g] += 1
    return order, edges


@inner
def sum_all(left: np.ndarray, right: np.ndarray, inverse: np.ndarray) -> tuple[np.float32, np.float32, np.float32]:
    """The sums of f b / pi, f and b over all states; see `sum_groups`."""
    both = one = other = F(0)
    for k in range(left.shape[0]):
        both += left[k] * right[k] * inverse[k]
        one += left[k]
        other += right[k]
    return both, one, other


@in_order
def sum_groups(
    left: np.ndarray, right: np.ndarray, inverse: np.ndarray, order: np.ndarray, edges: np.ndarray, sums: np.ndarray
) -> np.float32:
    """sums float32 (G, 3) <- of f b / pi, f and b in each group; returns the sum of the first over all of them.

    order uint16 (K,), edges int (G + 1,): see `sort_states`; inverse float32 (K,): 1 / pi, or 0 where pi is 0. The
    first group, the largest as a rule, is what the others leave.
    """
    total, one0, other0 = sum_all(left, right, inverse)
    both0 = total
    for g in range(1, sums.shape[0]):
        both = one = other = F(0)
        for i in range(edges[g], edges[g + 1]):
            k = order[i]
            both += left[k] * right[k] * inverse[k]
            one += left[k]
            other += right[k]
        sums[g, 0], sums[g, 1], sums[g, 2] = both, one, other
        both0 -= both
        one0 -= one
        other0 -= other
    sums[0, 0], sums[0, 1], sums[0, 2] = max(both0, F(0)), max(one0, F(0)), max(other0, F(0))
    return total


@inner
def sum_prior(pi: np.ndarray, order: np.ndarray, edges: np.ndarray, prior: np.ndarray) -> None:
    """prior float32 (G,) <- the sum of pi in each group."""
    for g in range(prior.shape[0]):
        prior[g] = F(0)
        for i in range(edges[g], edges[g + 1]):
            prior[g] += pi[order[i]]


@inner
def dose_at(
    sums: np.ndarray, prior: np.ndarray, carriers: np.ndarray, total: np.float32, q1: np.float32, q2: np.float32
) -> np.float32:
    """The chance of an allele at a place. prior float32 (G,): the sum of pi in each group; carriers int: the groups
    that carry it; total: the sum of the first column of `sums`; q1, q2: see above."""
    c0, c1, c2, c3 = (F(1) - q1) * (F(1) - q2), (F(1) - q1) * q2, q1 * (F(1) - q2), q1 * q2
    found = F(0)
    for i in range(carriers.shape[0]):
        g = carriers[i]
        found += c0 * sums[g, 0] + c1 * sums[g, 1] + c2 * sums[g, 2] + c3 * prior[g]
    return found / max(c0 * total + c1 + c2 + c3, TINY)


@fast
def fill(
    alt: np.ndarray, panel: np.ndarray, pi: np.ndarray, switch: np.ndarray, error: float, order: np.ndarray,
    edges: np.ndarray, n_groups: np.ndarray, first: np.ndarray, carriers: np.ndarray, places: np.ndarray,
    is_alt: np.ndarray, q1: np.ndarray, q2: np.ndarray, doses: np.ndarray,
) -> None:  # fmt: skip
    """doses float32 (M, W) <- the chance of ALT of M haplotypes at W loci, of which typed ones may be some.

    alt float32 (M, T): by the haplotypes' own data, see `step`; panel uint8 (T, K), 0/1; pi float32 (K,), of sum 1;
    switch float32 (T,), before each typed locus. Gap t of T + 1 lies before typed locus t and holds it as its last
    locus: its loci are first[t] .. first[t + 1], int64 (T + 2,). order, edges: see `sort_states`; n_groups int64
    (T + 1,): how many groups there are. carriers int32: from places[l] on, int64 (W + 1,), the groups
    that carry ALT at a locus, or REF where is_alt, bool (W,), is False. q1, q2 float32 (W,).
    """
    n_loci, n_states = panel.shape
    inverse = np.empty(n_states, np.float32)
    for k in range(n_states):
        inverse[k] = F(1) / pi[k] if pi[k] > F(0) else F(0)
    sums = np.empty((n_groups.max(), 3), np.float32)
    prior = np.empty((n_loci + 1, n_groups.max()), np.float32)
    for t in range(n_loci + 1):
        sum_prior(pi, order[t], edges[t], prior[t, : n_groups[t]])
    b = np.empty((n_loci + 1, n_states), np.float32)
    f = np.empty((2, n_states), np.float32)
    for m in range(alt.shape[0]):
        b[n_loci] = pi
        f[0] = pi
        for t in range(n_loci - 1, -1, -1):
            step(b[t + 1], b[t], alt[m, t], panel[t], pi, switch[t + 1] if t + 1 < n_loci else F(0), F(error))
        for t in range(n_loci + 1):
            before, now = f[t % 2], f[(t + 1) % 2]
            if first[t + 1] > first[t]:
                some = sums[: n_groups[t]]
                total = sum_groups(before, b[t], inverse, order[t], edges[t], some)
                for locus in range(first[t], first[t + 1]):
                    own = carriers[places[locus] : places[locus + 1]]
                    dose = dose_at(some, prior[t], own, total, q1[locus], q2[locus])
                    doses[m, locus] = dose if is_alt[locus] else F(1) - dose
            if t < n_loci:
                step(before, now, alt[m, t], panel[t], pi, switch[t] if t > 0 else F(0), F(error))
