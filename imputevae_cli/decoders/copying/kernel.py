"""The compiled recursions of the copying decoder: one window of one sample at a time, fused over its loci.

Each haplotype of a sample is a mosaic of K donor haplotypes (Li and Stephens 2003, doi:10.1093/genetics/165.4.2213).
With theta the donors' ALT probabilities (softened by the error rate), e the emission, pi the copying prior and rho the
switch probability before a locus, the scaled recursions are

    backward  b[l-1] = (1 - rho[l]) * e[l] * b[l] / R[l] + rho[l],     R[l] = sum_k pi e b
    forward   m[l+1] = (1 - rho[l+1]) * f / sum_k f + rho[l+1] * pi,   f = m[l] * e[l]

so that sum_k m = sum_k pi b = 1 at every locus and float32 never underflows. Phase is drawn left to right at each
heterozygous call. Where a sample is homozygous by descent its two paths are one (kernel_one_path.py): the one that it
comes from, and that it goes on as, is drawn too. Alleles are stored as bytes: 0 is REF, 255 is ALT, and between them
the probability of ALT.
kernel_torch.py states the same recursions in torch; the two are tested equal.
"""

from __future__ import annotations

import numpy as np

from imputevae_cli.decoders.copying.inbreeding import ONE_PATH
from imputevae_cli.decoders.copying.kernel_numerics import (
    BYTE,
    TINY,
    F,
    fast,
    fill_prior,
    gather,
    inner,
    line,
    next_switch,
    room_for_alleles,
    uniform,
)
from imputevae_cli.decoders.copying.kernel_one_path import (
    advance_one,
    backward_one,
    open_one,
    record_usage_one,
    write_missing_one,
    write_one,
)
from imputevae_cli.decoders.copying.kernel_steps import (
    advance,
    alleles_of,
    backward_known,
    backward_past,
    count_jumps,
    draw_phase,
    drift,
    join,
    keep_weights,
    missing_pair,
    part,
    part_backward,
    record_usage,
    start,
    write_known,
    write_missing,
)


@inner
def backward(
    calls: np.ndarray, one: np.ndarray, top: int, window: np.ndarray, theta: np.ndarray, alike: np.ndarray,
    alleles: np.ndarray, switch: np.ndarray, error: float, skip_hets: bool, pi: np.ndarray, b: np.ndarray,
    sums: np.ndarray, w: np.ndarray, affine: np.ndarray,
) -> None:  # fmt: skip
    """b float32 (T, 2, K), where `forward` reads it, and sums float32 (T, 2) of a sample.

    calls int8 (T,), -1 missing; one bool (T,): whether it follows one path; top: the call of ALT alone, 1 haploid, 2
    diploid; window: (first, core_first, core_stop, stop) loci; alike: see `gather`; alleles uint8: the first
    haplotype's allele in the phase so far; sums[t, h] = R, and at a heterozygous call sum_k pi theta b, the chance of
    ALT, whatever the allele. w, affine: see kernel_steps.py; apart from `b`, since the compiler makes no vectors of a
    loop that reads one row of an array and writes another.
    """
    first, core_stop = window[0], window[2]
    middle = (window[1] + core_stop) // 2
    span = F(1.0 - 2.0 * error) * BYTE
    start(affine, w)
    for t in range(window[3] - first - 1, -1, -1):
        locus = first + t
        call = calls[locus]
        rho = switch[locus]
        changes = t > 0 and one[t] != one[t - 1]
        is_open = (call == 1 and top == 2) or (call < 0 and not alike[t])
        if locus < core_stop and (is_open or changes or locus == middle):
            keep_weights(w, affine, b, t)
        known = call == 0 or call == top or (call == 1 and not one[t] and not skip_hets)
        alt0, alt1 = alleles_of(call, alleles[locus] >= 128) if top == 2 else (call == 1, False)
        base0, slope0 = line(alt0, error, span)
        base1, slope1 = line(alt1, error, span)
        s0 = s1 = F(1)
        if not known:
            if call == 1:
                s0 = s1 = F(0.5)
            backward_past(affine, rho)
        elif alike[t]:
            s0 = base0 + slope0 * F(theta[t, 0])
            s1 = base1 + slope1 * F(theta[t, 0])
            backward_past(affine, rho)
        elif one[t]:
            s0 = backward_one(theta, t, base0, slope0, rho, pi, w, affine)
        else:
            s0, s1 = backward_known(theta, t, (base0, slope0, base1, slope1), rho, pi, w, affine)
        is_het = call == 1 and top == 2
        sums[t, 0] = F(1) - s0 if is_het and not alt0 else s0
        sums[t, 1] = F(1) - s1 if is_het and not alt1 else s1
        if changes:
            part_backward(w, affine, not one[t])


@inner
def forward(
    calls: np.ndarray, one: np.ndarray, top: int, inbreeding: np.ndarray, window: np.ndarray, theta: np.ndarray,
    alike: np.ndarray, alleles: np.ndarray, switch: np.ndarray, error: float, pi: np.ndarray, b: np.ndarray,
    sums: np.ndarray, m: np.ndarray, affine: np.ndarray, work: np.ndarray, ratios: np.ndarray, key: np.uint64,
    out0: np.ndarray, out1: np.ndarray, origin: int, jumps: np.ndarray, usage: np.ndarray, doses: np.ndarray, unit: int,
    at: int,
) -> tuple[int, int]:  # fmt: skip
    """Draw phases left to right up to the end of a window's core, and write it; returns its frame (see `sweep`).

    one, top, alike: see `backward`. inbreeding float32 (T,): F where one path is followed. window: (first, core_first,
    core_stop, stop) loci. out0, out1 uint8: the new haplotypes from locus `origin` on, in the frame of the window's
    left edge. jumps float32: expected switches are added, from `origin` on. usage: see `record_usage`. doses uint16
    (cells, 2): at each missing call of the core, from row `at` on, `unit` times the chances of 0 and of 2 ALT alleles
    are added, when doses has rows. A kernel takes its arrays one by one: numba compiles no struct of them that costs
    nothing.

    ratios float32 (2,): R / Z of each haplotype at the locus, with Z = sum_k m e b. From one locus to the next, where a
    haplotype is read with the allele that it was read with from the right, Z[l+1] = Z[l] R[l+1] / sum_k m[l] e[l]; so
    that b is read where phase is drawn or a call is missing, and nowhere else.
    """
    first, core_first, core_stop, stop = window[0], window[1], window[2], window[3]
    middle = (core_first + core_stop) // 2
    span = F(1.0 - 2.0 * error) * BYTE
    swap = 0
    flip = flip_in = 0
    start(affine, m)
    ratios[0], ratios[1] = F(1), F(0) if one[0] else F(1)
    for t in range(core_stop - first):  # what is drawn further right belongs to the next window
        locus = first + t
        place = locus - origin
        call = calls[locus]
        core = locus >= core_first
        rho_next = next_switch(switch, locus, stop)
        if locus == core_first:
            flip_in = flip
        if one[t]:
            if t > 0 and not one[t - 1]:
                join(m, affine, ratios, swap)
            if locus == middle:
                record_usage_one(m, affine, pi, b, t, usage)
            swap = 0
            known = call == 0 or call == top
            if core:
                work[0] = F(error) + span * F(theta[t, 0])
                if not known and not (call < 0 and alike[t]):
                    work[0] = open_one(theta, t, error, m, affine, pi, b)
                write_one(known, call == top, work, out0, out1, place)
                count_jumps(t, switch[locus], ratios, jumps, place)
                if call < 0:
                    write_missing_one(work[0], inbreeding[t], doses, unit, at)
                    at += 1
            if known and not alike[t]:
                base, slope = line(call == top, error, span)
                ratios[0] *= advance_one(theta, t, base, slope, m, affine, rho_next, pi) / sums[t, 0]
            else:
                drift(affine, rho_next)
            continue
        if t > 0 and one[t - 1]:
            lines = line(call == 2, error, span) if call == 0 or call == 2 else (F(1), F(0))
            swap = part(theta, t, lines, m, affine, pi, b, uniform(key, t), work)
            ratios[0] = sums[t, swap] / max(work[2], TINY)
            ratios[1] = F(1)
        if locus == middle:
            record_usage(m, affine, pi, b, t, swap, usage)
        if call < 0:
            if core:
                if alike[t]:
                    work[0] = work[1] = F(error) + span * F(theta[t, 0])
                else:
                    missing_pair(theta, t, error, m, affine, pi, b, swap, work)
                write_missing(work, out0, out1, place, doses, unit, at)
                at += 1
                count_jumps(t, switch[locus], ratios, jumps, place)
            drift(affine, rho_next)
            continue
        allele = 0
        r0, r1 = sums[t, swap], sums[t, 1 - swap]
        if call == 1:
            allele, swap = draw_phase(theta, t, error, m, affine, pi, b, uniform(key, t), work)
            flip = allele ^ np.int64(alleles[locus] >= 128)
            r0, r1 = sums[t, swap], sums[t, 1 - swap]
            r0, r1 = (r0, F(1) - r1) if allele == 1 else (F(1) - r0, r1)
            ratios[0], ratios[1] = r0 / max(work[2], TINY), r1 / max(work[3], TINY)
        alt0, alt1 = alleles_of(call, allele == 1)
        if core:
            write_known(alt0, alt1, out0, out1, place)
            count_jumps(t, switch[locus], ratios, jumps, place)
        if alike[t] and call != 1:
            drift(affine, rho_next)
            continue
        emissions = (*line(alt0, error, span), *line(alt1, error, span))
        s0, s1 = advance(theta, t, emissions, m, affine, rho_next, pi)
        ratios[0] *= s0 / max(r0, TINY)
        ratios[1] *= s1 / max(r1, TINY)
    return flip_in, flip


@fast
def sweep(
    calls: np.ndarray, by_descent: np.ndarray, panel: np.ndarray, state: np.ndarray, donors: np.ndarray,
    prior: np.ndarray, global_share: float, switch: np.ndarray, error: float, keys: np.ndarray, first_pass: bool,
    window: np.ndarray, samples: np.ndarray, at: np.ndarray, doses: np.ndarray, unit: int, out: np.ndarray,
    origin: int, flips: np.ndarray, jumps: np.ndarray, usage: np.ndarray,
) -> None:  # fmt: skip
    """One window of the samples `samples[0]` .. `samples[1]` (exclusive): new haplotypes, switches, doses.

    calls int8 (N, L); by_descent uint8 (N, L), or (0, 0) for nowhere: see `inbreeding.by_descent`, from whose ONE_PATH
    on one path is followed; panel uint8 (rows, L): the donors;
    state uint8 (N * ploidy, L): the samples' haplotypes so far; donors int32 (N, K): rows of the panel;
    prior float32 (N, panel samples), or (0, 0) for a uniform one; global_share: see `fill_prior`; switch float32
    (L,); keys uint64 (N,): of each sample's draws; at int64 (N,): its first row of doses in this window; out uint8
    (N * ploidy, ...): the new haplotypes from locus `origin` on; flips uint8 (N, 2): whether the new phase is the
    reverse of the old before the core and at its end; jumps float32, from `origin` on; usage float32 (N, K), see
    `record_usage`. The arguments are those of `SweepBlock`.
    """
    ploidy = state.shape[0] // calls.shape[0]
    first, stop = window[0], window[3]
    n_loci, n_donors = stop - first, -(-donors.shape[1] // 8) * 8  # those beyond the last have a prior of 0
    words, rows = room_for_alleles(n_loci, n_donors)
    theta, alike = words.view(np.uint8), np.empty(n_loci, np.bool_)
    b = np.empty((n_loci, 2, n_donors), np.float32)
    sums = np.empty((n_loci, 2), np.float32)
    m = np.empty((2, n_donors), np.float32)
    affine, ratios, work = np.empty((2, 2), np.float32), np.empty(2, np.float32), np.zeros(4, np.float32)
    pi = np.zeros(n_donors, np.float32)
    one, inbreeding = np.full(n_loci, ploidy == 1), np.ones(n_loci, np.float32)
    for n in range(samples[0], samples[1]):
        fill_prior(prior, global_share, n, donors[n], ploidy, pi[: donors.shape[1]])
        gather(panel, donors[n], first, n_loci, words, rows, alike)
        if by_descent.shape[0] > 0:
            for t in range(n_loci):
                one[t] = by_descent[n, first + t] >= ONE_PATH
                inbreeding[t] = F(by_descent[n, first + t]) * BYTE
        row, last = n * ploidy, n * ploidy + ploidy - 1
        backward(
            calls[n], one, ploidy, window, theta, alike, state[row], switch, error, first_pass, pi, b, sums, m, affine
        )  # fmt: skip
        flips[n, 0], flips[n, 1] = forward(
            calls[n], one, ploidy, inbreeding, window, theta, alike, state[row], switch, error, pi, b, sums, m, affine,
            work, ratios, keys[n], out[row], out[last], origin, jumps, usage[n], doses, unit, at[n],
        )  # fmt: skip


@fast
def stitch(cores: np.ndarray, flips: np.ndarray, haplotypes: np.ndarray) -> None:
    """Put the windows of diploid samples in one frame by exchanging their haplotypes in place.

    cores int64 (W, 2): core_first, core_stop; flips uint8 (W, N, 2) as `sweep` writes them; haplotypes uint8 (2N, L).
    """
    for n in range(flips.shape[1]):
        frame = 0
        for w in range(cores.shape[0]):
            turn = frame ^ flips[w, n, 0]
            frame = flips[w, n, 1] ^ turn
            if turn:
                for locus in range(cores[w, 0], cores[w, 1]):
                    held = haplotypes[2 * n, locus]
                    haplotypes[2 * n, locus] = haplotypes[2 * n + 1, locus]
                    haplotypes[2 * n + 1, locus] = held
