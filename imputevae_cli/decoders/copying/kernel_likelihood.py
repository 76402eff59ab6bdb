"""The compiled recursions where calls are uncertain: a sample's haplotypes weigh the likelihoods of its genotypes.

With L[g] the likelihood of g ALT alleles, a haplotype's emission is e(v) = L[v + o], where o is the allele of the other
haplotype: the drawn one. Left to right, the alleles (v0, v1) of a cell are drawn together by P0(v0) P1(v1) L[v0 + v1],
with the phase, and each haplotype goes on with the other's. Otherwise the recursions are those of kernel.py, which this
gives where calls are certain. What is added to the doses are the genotype's chances given the cell's own likelihoods
too, on two paths; `uncertain.before_own` takes these out of the mean.

What is stored is the drawn allele: chances that are stored draw those of others towards the frequencies, and chains end
with twice the errors. Where nothing is known of a cell the chance of ALT is stored, as in kernel.py.
"""

from __future__ import annotations

import numpy as np

from imputevae_cli.decoders.copying.inbreeding import ONE_PATH
from imputevae_cli.decoders.copying.kernel_likelihood_one_path import backward_one, forward_one
from imputevae_cli.decoders.copying.kernel_numerics import (
    BYTE,
    TINY,
    F,
    emission,
    fast,
    fill_prior,
    gather,
    inner,
    next_switch,
    room_for_alleles,
    sloped,
    uniform,
)
from imputevae_cli.decoders.copying.kernel_steps import (
    advance,
    backward_past,
    count_jumps,
    drift,
    keep_weights,
    missing_pair,
    paired,
    record_usage,
    start,
    write_missing,
)

NOTHING, HOMOZYGOUS, OPEN = 0, 1, 2
"""What is known of a cell: nothing, a certain homozygote, or something that leaves phase or genotype open."""
FADING = F(0.8)
"""How much of what is gathered on the phase against the phase before is left at the next cell."""


@inner
def gather_likelihoods(
    calls: np.ndarray, codes: np.ndarray, table: np.ndarray, first: int, likelihoods: np.ndarray, kinds: np.ndarray
) -> None:
    """likelihoods float32 (T, C) <- of one sample's cells from locus `first` on, kinds uint8 (T,) <- what is known.

    calls int8 (L,): certain genotypes, -1 elsewhere; codes uint16 (L,): rows of table float32 (K, C), 0 for nothing.
    """
    n_classes = table.shape[1]
    for t in range(kinds.shape[0]):
        call, code = calls[first + t], codes[first + t]
        for g in range(n_classes):
            likelihoods[t, g] = table[code, g] if call < 0 else F(call == g)
        kinds[t] = OPEN
        if call < 0 and code == 0:
            kinds[t] = NOTHING
        elif call == 0 or call == n_classes - 1:
            kinds[t] = HOMOZYGOUS


@inner
def backward_pair(
    likelihoods: np.ndarray, kinds: np.ndarray, first: int, theta: np.ndarray, own: np.ndarray, switch: np.ndarray,
    error: float, first_pass: bool, frequency: np.ndarray, pi: np.ndarray, b: np.ndarray, sums: np.ndarray,
    w: np.ndarray, affine: np.ndarray,
) -> None:  # fmt: skip
    """b float32 (T, 2, K) of a diploid sample, and sums float32 (T, 2): the chance of ALT from the right alone.

    own uint8 (2, L): its haplotypes so far; in the first pass, where none is drawn, the other allele is ALT by the
    frequency of the locus, float32 (L,). w, affine: see kernel_steps.py.
    """
    n_donors = pi.shape[0]
    span = F(1.0 - 2.0 * error) * BYTE
    eps = F(error)
    start(affine, w)
    for t in range(kinds.shape[0] - 1, -1, -1):
        keep_weights(w, affine, b, t)
        locus = first + t
        rho = switch[locus]
        if kinds[t] == NOTHING:
            backward_past(affine, rho)
            continue
        facing0 = frequency[locus] if first_pass else F(own[1, locus] >= 128)
        facing1 = frequency[locus] if first_pass else F(own[0, locus] >= 128)
        base0, slope0 = sloped(*emission(likelihoods[t], facing0), eps, span)
        base1, slope1 = sloped(*emission(likelihoods[t], facing1), eps, span)
        s0 = s1 = u0 = u1 = F(0)
        scale0, shift0, scale1, shift1 = affine[0, 0], affine[0, 1], affine[1, 0], affine[1, 1]
        for k in range(n_donors):
            th = F(theta[t, k])
            w0 = scale0 * w[0, k] + shift0
            w1 = scale1 * w[1, k] + shift1
            u0 += pi[k] * w0 * th
            u1 += pi[k] * w1 * th
            w[0, k] = (base0 + slope0 * th) * w0
            w[1, k] = (base1 + slope1 * th) * w1
            s0 += pi[k] * w[0, k]
            s1 += pi[k] * w[1, k]
        sums[t, 0] = eps + span * u0
        sums[t, 1] = eps + span * u1
        affine[0, 0], affine[1, 0] = (F(1) - rho) / max(s0, TINY), (F(1) - rho) / max(s1, TINY)
        affine[0, 1] = affine[1, 1] = rho


@inner
def weigh_alleles(
    theta: np.ndarray, t: int, error: float, m: np.ndarray, affine: np.ndarray, pi: np.ndarray, b: np.ndarray,
    chances: np.ndarray,
) -> None:  # fmt: skip
    """chances float32 (2, 4) <- of (left haplotype, slot of the right part): sum_k m b in the first row, and the part
    of it with ALT; columns 0-0, 1-1, 0-1, 1-0."""
    t00, t01, t10, t11, a00, a01, a10, a11 = paired(theta, t, error, m, affine, pi, b)
    chances[0, 0], chances[0, 1], chances[0, 2], chances[0, 3] = t00, t11, t01, t10
    chances[1, 0], chances[1, 1], chances[1, 2], chances[1, 3] = a00, a11, a01, a10


@inner
def draw_alleles(likelihood: np.ndarray, chances: np.ndarray, u: np.float32) -> tuple[int, int, int]:
    """Draw a cell's alleles and phase: (v0, v1, swap), each 0 or 1. chances: of `weigh_alleles`; u: a uniform draw."""
    total = F(0)
    for swap in range(2):
        ref0, ref1 = chances[0, 2 * swap] - chances[1, 2 * swap], chances[0, 2 * swap + 1] - chances[1, 2 * swap + 1]
        alt0, alt1 = chances[1, 2 * swap], chances[1, 2 * swap + 1]
        total += ref0 * ref1 * likelihood[0] + (ref0 * alt1 + alt0 * ref1) * likelihood[1] + alt0 * alt1 * likelihood[2]
    u *= total
    last0 = last1 = last_swap = 0
    for i in range(8):
        swap, v0, v1 = i >> 2, (i >> 1) & 1, i & 1
        one = chances[1, 2 * swap] if v0 else chances[0, 2 * swap] - chances[1, 2 * swap]
        two = chances[1, 2 * swap + 1] if v1 else chances[0, 2 * swap + 1] - chances[1, 2 * swap + 1]
        weight = one * two * likelihood[v0 + v1]
        if weight > 0:
            last0, last1, last_swap = v0, v1, swap
            if u < weight:
                break
            u -= weight
    return last0, last1, last_swap


@inner
def write_chances(chances: np.ndarray, likelihood: np.ndarray, doses: np.ndarray, unit: int, at: int) -> None:
    """Write what is expected of an open cell, given its likelihoods too, to row `at` of doses, where it has rows."""
    if doses.shape[0] == 0:
        return
    low = middle = high = F(0)
    for swap in range(2):
        alt0, alt1 = chances[1, 2 * swap], chances[1, 2 * swap + 1]
        ref0, ref1 = chances[0, 2 * swap] - alt0, chances[0, 2 * swap + 1] - alt1
        low += ref0 * ref1 * likelihood[0]
        middle += (ref0 * alt1 + alt0 * ref1) * likelihood[1]
        high += alt0 * alt1 * likelihood[2]
    total = max(low + middle + high, TINY)
    doses[at, 0] += np.uint16(min(low / total, F(1)) * F(unit) + F(0.5))
    doses[at, 1] += np.uint16(min(high / total, F(1)) * F(unit) + F(0.5))


@inner
def forward_pair(
    calls: np.ndarray, likelihoods: np.ndarray, kinds: np.ndarray, window: np.ndarray, theta: np.ndarray,
    own: np.ndarray, switch: np.ndarray, error: float, first_pass: bool, pi: np.ndarray, b: np.ndarray,
    sums: np.ndarray, m: np.ndarray, affine: np.ndarray, work: np.ndarray, ratios: np.ndarray, chances: np.ndarray,
    key: np.uint64, out0: np.ndarray, out1: np.ndarray, origin: int, jumps: np.ndarray, usage: np.ndarray,
    doses: np.ndarray, unit: int, at: int,
) -> tuple[int, int]:  # fmt: skip
    """Draw alleles and phases left to right and write the core of a window; see `kernel.forward`."""
    first, core_first, core_stop, stop = window[0], window[1], window[2], window[3]
    middle = (core_first + core_stop) // 2
    span = F(1.0 - 2.0 * error) * BYTE
    eps = F(error)
    swap = 0
    flip = flip_in = 0
    against = F(0)  # above 0 where the phase is that of before, below 0 where it is the reverse
    start(affine, m)
    ratios[:] = F(1)
    for t in range(core_stop - first):  # what is drawn further right belongs to the next window
        locus = first + t
        place = locus - origin
        core = locus >= core_first
        rho_next = next_switch(switch, locus, stop)
        if locus == core_first:
            flip_in = flip
        if locus == middle:
            record_usage(m, affine, pi, b, t, swap, usage)
        if kinds[t] == NOTHING:
            if core:
                missing_pair(theta, t, error, m, affine, pi, b, swap, work)
                write_missing(work, out0, out1, place, doses, unit, at)
                at += 1
                count_jumps(t, switch[locus], ratios, jumps, place)
            drift(affine, rho_next)
            continue
        likelihood = likelihoods[t]
        v0 = v1 = np.int64(likelihood[2] > 0)  # of a certain homozygote
        if kinds[t] == OPEN:
            weigh_alleles(theta, t, error, m, affine, pi, b, chances)
            v0, v1, swap = draw_alleles(likelihood, chances, uniform(key, t))
            before = F(1) if first_pass else (F(own[0, locus]) - F(own[1, locus])) * BYTE
            against = FADING * against + before * F(v0 - v1)
            flip = 1 if against < 0 else 0
            if core and calls[locus] < 0:
                write_chances(chances, likelihood, doses, unit, at)
                at += 1
        e0, f0 = emission(likelihood, F(v1))
        e1, f1 = emission(likelihood, F(v0))
        r0 = e0 + (f0 - e0) * sums[t, swap]
        r1 = e1 + (f1 - e1) * sums[t, 1 - swap]
        if kinds[t] == OPEN:  # each was read from the right with the alleles of the other before
            alt0, alt1 = chances[1, 2 * swap], chances[1, 2 * swap + 1]
            ratios[0] = r0 / max(e0 * (chances[0, 2 * swap] - alt0) + f0 * alt0, TINY)
            ratios[1] = r1 / max(e1 * (chances[0, 2 * swap + 1] - alt1) + f1 * alt1, TINY)
        if core:
            out0[place] = np.uint8(255 * v0)
            out1[place] = np.uint8(255 * v1)
            count_jumps(t, switch[locus], ratios, jumps, place)
        s0, s1 = advance(theta, t, (*sloped(e0, f0, eps, span), *sloped(e1, f1, eps, span)), m, affine, rho_next, pi)
        ratios[0] *= s0 / max(r0, TINY)
        ratios[1] *= s1 / max(r1, TINY)
    return flip_in, flip


@fast
def sweep(
    codes: np.ndarray, table: np.ndarray, frequency: np.ndarray, calls: np.ndarray, by_descent: np.ndarray,
    panel: np.ndarray, state: np.ndarray, donors: np.ndarray, prior: np.ndarray, global_share: float,
    switch: np.ndarray, error: float, keys: np.ndarray, first_pass: bool, window: np.ndarray, samples: np.ndarray,
    at: np.ndarray, doses: np.ndarray, unit: int, out: np.ndarray, origin: int, flips: np.ndarray, jumps: np.ndarray,
    usage: np.ndarray,
) -> None:  # fmt: skip
    """As `kernel.sweep`. codes uint16 (N, L): rows of table float32 (K, C), likelihoods; calls: -1 where they leave the
    genotype open, and those cells are the rows of doses; frequency float32 (L,), of ALT."""
    ploidy = state.shape[0] // calls.shape[0]
    first, stop = window[0], window[3]
    n_loci, n_donors = stop - first, -(-donors.shape[1] // 8) * 8  # those beyond the last have a prior of 0
    words, rows = room_for_alleles(n_loci, n_donors)
    theta, alike = words.view(np.uint8), np.empty(n_loci, np.bool_)
    b = np.empty((n_loci, 2, n_donors), np.float32)
    sums = np.empty((n_loci, 2), np.float32)
    m = np.empty((2, n_donors), np.float32)
    affine, ratios, work = np.empty((2, 2), np.float32), np.empty(2, np.float32), np.empty(4, np.float32)
    chances = np.empty((2, 4), np.float32)
    pi = np.zeros(n_donors, np.float32)
    likelihoods = np.empty((n_loci, table.shape[1]), np.float32)
    kinds = np.empty(n_loci, np.uint8)
    inbreeding = np.full(n_loci, 255, np.uint8)
    for n in range(samples[0], samples[1]):
        fill_prior(prior, global_share, n, donors[n], ploidy, pi[: donors.shape[1]])
        gather(panel, donors[n], first, n_loci, words, rows, alike)
        gather_likelihoods(calls[n], codes[n], table, first, likelihoods, kinds)
        row = n * ploidy
        if ploidy == 1 or (by_descent.shape[0] > 0 and by_descent[n, window[1]] >= ONE_PATH):
            if ploidy == 2:
                inbreeding[:] = by_descent[n, first:stop]
            backward_one(likelihoods, first, theta, switch, error, pi, b, sums, m)
            forward_one(
                calls[n], inbreeding, likelihoods, window, theta, switch, error, pi, b, sums, m, out[row], origin,
                jumps, usage[n], doses, unit, at[n],
            )  # fmt: skip
            if ploidy == 2:
                core = slice(window[1] - origin, window[2] - origin)
                out[row + 1, core] = out[row, core]
            continue
        own = state[row : row + 2]
        backward_pair(
            likelihoods, kinds, first, theta, own, switch, error, first_pass, frequency, pi, b, sums, m, affine
        )  # fmt: skip
        flips[n, 0], flips[n, 1] = forward_pair(
            calls[n], likelihoods, kinds, window, theta, own, switch, error, first_pass, pi, b, sums, m, affine, work,
            ratios, chances, keys[n], out[row], out[row + 1], origin, jumps, usage[n], doses, unit, at[n],
        )  # fmt: skip
