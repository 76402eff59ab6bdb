"""What the copying decoder takes from evidence that is not certain: calls, starting haplotypes, paths, frequencies."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.evidence import FLAT, Evidence
from imputevae_cli.data.evidence_frequencies import (
    evidence_frequencies,
    inbred_proportions,
    inbreeding_of_samples,
    some_loci,
)
from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.decoders.copying import inbreeding
from imputevae_cli.decoders.copying.rules import InbreedingRules
from imputevae_cli.decoders.copying.schedule import DOSE_UNIT

LEAST_LIKELIHOOD = 1e-3
"""Likelihoods are raised to this before they are taken out of a posterior."""


def certain_part(cohort: Cohort) -> Cohort:
    """The cohort with the genotypes that its evidence leaves no doubt of as its calls, and no others."""
    evidence = cohort.evidence
    if evidence is None:
        return cohort
    table = evidence.table
    is_open = Evidence(np.arange(len(table), dtype=np.uint16)[None], table).uncertain(slice(None), 0, len(table))[0]
    genotype = np.where(is_open, MISSING, table.argmax(1)).astype(np.int8)  # (K,)
    calls = np.empty(cohort.calls.shape, np.int8)
    for own, codes in zip(calls, evidence.codes, strict=True):
        own[:] = genotype[codes]
    return replace(cohort, calls=calls)


def certain_cells(hidden: HiddenCells, ploidy: int) -> HiddenCells:
    """Those of some hidden cells whose genotype is certain; without likelihoods, all of them."""
    if hidden.likelihoods is None:
        return hidden
    table = np.concatenate([np.ones((1, ploidy + 1), np.float32), hidden.likelihoods])
    is_open = Evidence(np.arange(1, len(table))[None], table).uncertain(slice(None), 0, len(table))[0]
    places = np.flatnonzero(~is_open)
    return replace(hidden.take(places), truth=hidden.likelihoods[places].argmax(1))


def genotype_frequencies(evidence: Evidence) -> np.ndarray:
    """Of each locus, float32 (L, C)."""
    return evidence_frequencies(evidence)[-1]


def alt_frequencies(frequencies: np.ndarray) -> np.ndarray:
    """Frequency of ALT, float32 (L,), of genotype frequencies float32 (L, C)."""
    ploidy = frequencies.shape[1] - 1
    return frequencies @ np.arange(ploidy + 1, dtype=np.float32) / np.float32(ploidy)


def initial_haplotypes(evidence: Evidence, frequency: np.ndarray) -> np.ndarray:
    """uint8 (N * ploidy, L): the expected share of ALT alleles; frequency: float (L,) of ALT under random mating."""
    ploidy, (n_samples, n_loci) = evidence.n_classes - 1, evidence.codes.shape
    dose = np.arange(ploidy + 1, dtype=np.float32) / ploidy
    prior = inbred_proportions(frequency, ploidy).astype(np.float32)
    haplotypes = np.empty((n_samples, ploidy, n_loci), np.uint8)
    for n, own in enumerate(haplotypes):
        joint = prior * evidence.block(slice(n, n + 1), 0, n_loci)[0]
        own[:] = np.round(255 * (joint @ dose) / np.maximum(joint.sum(1), 1e-30))
    return haplotypes.reshape(n_samples * ploidy, n_loci)


def by_descent(evidence: Evidence, windows: np.ndarray, frequency: np.ndarray, rules: InbreedingRules) -> np.ndarray:
    """uint8 (N, L), or (0, 0), as `inbreeding.by_descent`, but the same all through a window: windows of inbred samples
    are called by the odds of their likelihoods."""
    followed = _paths(evidence, windows, frequency, rules)
    if evidence.n_classes == 2 or (followed == 2).all():
        return inbreeding.NOBODY
    left = _residual_coefficients(evidence, windows, followed, frequency)
    chances = np.maximum(np.round(254 * left), inbreeding.ONE_PATH).astype(np.uint8)  # (N,)
    of_window = np.where(followed == 1, chances, 0).T.astype(np.uint8)  # (N, W)
    return np.repeat(of_window, windows[:, 2] - windows[:, 1], axis=1)


def _paths(evidence: Evidence, windows: np.ndarray, frequency: np.ndarray, rules: InbreedingRules) -> np.ndarray:
    """uint8 (W, N): the paths that each sample follows in each window."""
    ploidy, (n_samples, n_loci) = evidence.n_classes - 1, evidence.codes.shape
    found = np.full((len(windows), n_samples), ploidy, np.uint8)
    if ploidy == 1:
        return found
    some = some_loci(n_samples, n_loci)
    f = inbreeding_of_samples(evidence, some, frequency[some])
    outbred, inbred = (inbred_proportions(frequency, ploidy, share) for share in (0.0, 1.0 - rules.residual))
    for n in np.flatnonzero(f > rules.least):
        likelihoods = evidence.block(slice(n, n + 1), 0, n_loci)[0]
        odds = np.log(((inbred * likelihoods).sum(1) + 1e-30) / ((outbred * likelihoods).sum(1) + 1e-30))
        before = np.concatenate([[0.0], np.cumsum(odds)])
        share = min(f[n], rules.most)
        odds_of_window = np.log(share / (1 - share)) + before[windows[:, 3]] - before[windows[:, 0]]
        found[:, n] = np.where(odds_of_window > 0, 1, 2)
    return found


def _residual_coefficients(
    evidence: Evidence, windows: np.ndarray, followed: np.ndarray, frequency: np.ndarray
) -> np.ndarray:
    """float32 (N,): F over the windows of one path, `followed` uint8 (W, N)."""
    left = np.zeros(len(evidence.codes), np.float32)
    for n in np.flatnonzero((followed == 1).any(0)):
        loci = np.concatenate([np.arange(a, b) for _, a, b, _ in windows[followed[:, n] == 1]])
        own = Evidence(evidence.codes[n : n + 1], evidence.table)
        left[n] = np.clip(inbreeding_of_samples(own, loci, frequency[loci])[0], 0, 1)
    return left


def before_own(doses: np.ndarray, cohort: Cohort, is_two: np.ndarray, windows: np.ndarray) -> None:
    """Take the cells' own likelihoods out of mean doses, uint16 (open cells, 2), in place, on two paths.

    With s what all cells say of a state of the chain, P(g | the others) is proportional to the mean of P(g | s, all)
    over L[g]: the mean of what is expected without the own reads, over states drawn with them, would count them twice.
    is_two: bool (W, N), windows of two paths. cohort: as the chain was given it.
    """
    assert cohort.evidence is not None
    evidence, first = cohort.evidence, 0
    window = np.repeat(np.arange(len(windows)), windows[:, 2] - windows[:, 1])
    for calls, codes, two in zip(cohort.calls, evidence.codes, is_two.T, strict=True):
        loci = np.flatnonzero(calls == MISSING)
        rows = first + np.flatnonzero(two[window[loci]] & (codes[loci] != FLAT))
        likelihoods = evidence.table[codes[loci[rows - first]]]
        first += len(loci)
        low, high = doses[rows].T / np.float32(DOSE_UNIT)
        gp = np.stack([low, np.maximum(1 - low - high, 0), high], 1) / np.maximum(likelihoods, LEAST_LIKELIHOOD)
        gp /= np.maximum(gp.sum(1, keepdims=True), 1e-30)
        doses[rows] = np.rint(DOSE_UNIT * gp[:, [0, 2]])


def comparable(evidence: Evidence) -> np.ndarray:
    """uint64 (N, L): a number of each cell's likelihoods that hangs on them alone, not on what else occurs."""
    rows = [hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in evidence.table]
    return np.frombuffer(b"".join(rows), np.uint64)[evidence.codes]
