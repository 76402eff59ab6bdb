"""The runs of loci that are read at once, and the distances between loci. No state, no I/O."""

from __future__ import annotations

import itertools

import numpy as np

from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.genetic_map import BP_PER_CM
from imputevae_cli.data.genotypes import missing_per_sample
from imputevae_cli.decoders.copying.rules import SwitchRules, WindowRules

LEAST_ALONE = 64
"""Loci of a chromosome that has windows of its own: fewer do not tell which haplotypes are alike."""


def windows(chrom_codes: np.ndarray, core: int, halo: int) -> np.ndarray:
    """Windows that cover the loci, int64 (W, 4): first, core_first, core_stop, stop.

    Cores of `core` loci, or a few more, tile the loci; `halo` loci on either side are read as well. No window crosses
    from one chromosome to another, but those of fewer than `LEAST_ALONE` loci share windows.
    chrom_codes: int32 (L,), the same along a chromosome.
    """
    found = []
    for start, stop in _runs(chrom_codes, min(LEAST_ALONE, core // 2)):
        n = max(1, (stop - start) // core)
        edges = np.linspace(start, stop, n + 1).astype(np.int64)
        found += [(max(start, a - halo), a, b, min(stop, b + halo)) for a, b in itertools.pairwise(edges)]
    return np.array(found, np.int64).reshape(-1, 4)


def core_for(cohort: Cohort, most: int, rules: WindowRules) -> int:
    """Loci of a window's core: as many as a sample shares with its nearest relatives (`WindowRules`), `most` at most.

    Without a genetic map 1 cM is taken for 1 Mb. There are `most` where positions tell no distance, and where half of
    the loci lie in chromosomes too short for two such windows: these are read whole.
    """
    codes = cohort.chrom_codes
    inner = ~chrom_starts(codes)
    length = float(np.abs(np.diff(cohort.positions, prepend=0))[inner].sum())
    if np.issubdtype(cohort.positions.dtype, np.integer):
        length /= BP_PER_CM
    known = 1 - missing_per_sample(cohort.calls).sum() / cohort.calls.size
    if length == 0 or known == 0:
        return most
    shared = rules.shared * np.sqrt(len(cohort.calls)) * inner.sum() / length
    core = round(max(shared, rules.compared / known**2))
    return min(core, most) if np.median(np.bincount(codes)[codes]) >= 2 * core else most


def _runs(chrom_codes: np.ndarray, least: int) -> list[tuple[int, int]]:
    """Stretches of loci to cut into windows: a chromosome, or neighbours of fewer than `least` loci."""
    edges = [*np.flatnonzero(chrom_starts(chrom_codes)).tolist(), len(chrom_codes)]
    runs: list[tuple[int, int]] = []
    open_from = None  # the start of a run of short chromosomes
    for start, stop in itertools.pairwise(edges):
        if stop - start < least:
            open_from = start if open_from is None else open_from
            continue
        if open_from is not None:
            runs.append((open_from, start))
            open_from = None
        runs.append((start, stop))
    if open_from is not None:
        runs.append((open_from, edges[-1]))
    return runs


def chrom_starts(chrom_codes: np.ndarray) -> np.ndarray:
    """bool (L,): whether a locus is the first of its chromosome."""
    starts = np.ones(len(chrom_codes), bool)
    starts[1:] = chrom_codes[1:] != chrom_codes[:-1]
    return starts


def relative_distances(chrom_codes: np.ndarray, positions: np.ndarray, rules: SwitchRules | None = None) -> np.ndarray:
    """float64 (L,): distance from the locus before over the mean, within bounds; 0 at a chromosome's start.

    positions: int64 bp or float64 cM (L,). Unsorted or repeated positions count as the least distance.
    """
    rules, starts = rules or SwitchRules(), chrom_starts(chrom_codes)
    distance = np.diff(positions.astype(np.float64), prepend=0.0)
    inner = distance[~starts]
    mean = inner[inner > 0].mean() if (inner > 0).any() else 1.0
    return np.where(starts, 0.0, np.clip(distance / mean, rules.least_distance, rules.most_distance))


def near(windows: np.ndarray, start: int, stop: int, beside: int) -> tuple[int, int]:
    """Numbers of the windows whose cores hold loci start..stop (exclusive), and of `beside` more on either side."""
    first = int(np.searchsorted(windows[:, 2], start, side="right"))
    last = int(np.searchsorted(windows[:, 1], stop, side="left"))
    return max(first - beside, 0), min(last + beside, len(windows))


def stretches(window: np.ndarray, n_loci: int, pieces: int, scales: tuple[int, ...]) -> np.ndarray:
    """int64 (S, 2): the stretches over which donors of a window are compared.

    The window in `pieces` equal parts, and `scale` loci to either side of its centre for each of `scales`.
    """
    first, _, _, stop = window.tolist()
    middle = (first + stop) // 2
    edges = np.linspace(first, stop, min(pieces, stop - first) + 1).astype(np.int64)
    wide = [(max(0, middle - s), min(n_loci, middle + s)) for s in scales]
    return np.array([*itertools.pairwise(edges), *wide], np.int64).reshape(-1, 2)
