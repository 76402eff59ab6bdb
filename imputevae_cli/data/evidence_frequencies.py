"""Allele and genotype frequencies where calls are uncertain, by expectation-maximisation over likelihoods."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import comb

import numpy as np

from imputevae_cli.data.evidence import FIRST_FREE, FLAT, Evidence
from imputevae_cli.data.subsets import even_stretches

TINY = 1e-30
"""Added to each joint probability, so that data which no genotype explains divide by more than 0."""
TALLY_CELLS = 1 << 22
"""Cells that are counted at once."""
SUBSET_CELLS = 500_000
"""Cells that what holds for all loci is estimated from."""
EM_STEPS = 40
BISECTIONS = 10
LEAST_INBREEDING = -1.0
LEAST_RATIO = 1e-3
LEAST_FREQUENCY = 1e-4
HARDY_WEINBERG_WEIGHT = 50.0
"""Samples' worth of pseudo-counts in Hardy-Weinberg proportions: single reads tell alleles, but no heterozygotes."""


@dataclass(frozen=True)
class Tally:
    """How often each likelihood vector occurs at each locus; cells without evidence are left out.

    loci, codes, counts: int64 (M,), rows by rising locus. table: float (K, C).
    """

    loci: np.ndarray
    codes: np.ndarray
    counts: np.ndarray
    table: np.ndarray
    n_loci: int

    @classmethod
    def of(cls, evidence: Evidence, loci: np.ndarray, samples: np.ndarray | slice = slice(None)) -> Tally:
        """How often each code occurs among some samples, bool (N,), at some loci, int64 (l,), rising; the tally numbers
        them from 0."""
        n_codes = len(evidence.table)
        found = []
        size = max(1, TALLY_CELLS // len(evidence.codes))
        for start in range(0, len(loci), size):
            codes = evidence.codes[:, loci[start : start + size]][samples].astype(np.int64)
            keys = (codes + n_codes * (start + np.arange(codes.shape[1])))[codes != FLAT]
            found.append(np.stack(np.unique(keys, return_counts=True)))
        keys, counts = np.concatenate(found, axis=1) if found else np.zeros((2, 0), np.int64)
        return cls(*np.divmod(keys, n_codes), counts, _of_one_allele(evidence), len(loci))

    @classmethod
    def of_cells(cls, loci: np.ndarray, codes: np.ndarray, table: np.ndarray, n_loci: int) -> Tally:
        """How often each code occurs among single cells, of these loci and codes, int (M,) each."""
        keys, counts = np.unique(loci * len(table) + codes.astype(np.int64), return_counts=True)
        return cls(*np.divmod(keys, len(table)), counts, table, n_loci)

    def of_codes(self, wanted: np.ndarray) -> Tally:
        """Only the cells of some codes, bool (K,)."""
        keep = wanted[self.codes]
        return replace(self, loci=self.loci[keep], codes=self.codes[keep], counts=self.counts[keep])

    def of_counts(self) -> Tally:
        """Only the cells whose codes stand for read counts."""
        return self.of_codes(np.arange(len(self.table)) >= FIRST_FREE)

    def with_table(self, table: np.ndarray) -> Tally:
        """The same cells under other likelihoods."""
        return replace(self, table=table)

    @property
    def n_samples(self) -> np.ndarray:
        """float64 (L,): cells with evidence at each locus."""
        return np.bincount(self.loci, self.counts, self.n_loci)

    def expected_counts(self, frequencies: np.ndarray) -> np.ndarray:
        """Expected samples with each genotype, float64 (L, C), where `frequencies`, (L, C), are the prior."""
        from imputevae_cli.data.expected_counts import add_expected  # with a compiler, which calls alone need not load

        out = np.zeros((self.n_loci, self.table.shape[1]))
        add_expected(np.asarray(frequencies, np.float64), self._table, self.loci, self.codes, self.counts, TINY, out)
        return out

    def _joint(self, frequencies: np.ndarray) -> np.ndarray:
        """P(data, genotype) of each row, float64 (C, M)."""
        columns = np.ascontiguousarray(frequencies.T), np.ascontiguousarray(self._table.T)  # sums over C are fast
        return columns[0][:, self.loci] * columns[1][:, self.codes] + TINY

    @cached_property
    def _table(self) -> np.ndarray:
        return self.table.astype(np.float64)

    def log_likelihood(self, frequencies: np.ndarray) -> float:
        """ln P(data) at these genotype frequencies, float (L, C)."""
        return float((np.log(self._joint(frequencies).sum(0)) * self.counts).sum())

    def log_likelihoods(self, frequencies: np.ndarray) -> np.ndarray:
        """ln P(data) of each locus, float64 (L,), at these genotype frequencies, float (L, C)."""
        return np.bincount(self.loci, np.log(self._joint(frequencies).sum(0)) * self.counts, self.n_loci)


def _of_one_allele(evidence: Evidence) -> np.ndarray:
    """The table of `evidence`, float (K, C), with a haploid's data taken as those of one allele of a diploid, drawn at
    random: genotype frequencies are those of diploids."""
    table, haploid = evidence.table, evidence.is_haploid
    if haploid.any():
        table = table.copy()
        table[haploid, 1] = table[haploid][:, [0, 2]].mean(1)
    return table


def inbred_proportions(alt: np.ndarray, ploidy: int, inbreeding: float = 0.0) -> np.ndarray:
    """Genotype frequencies, float64 (L, ploidy + 1), at frequencies of ALT, float (L,), with inbreeding."""
    dose, alt = np.arange(ploidy + 1), np.asarray(alt, np.float64)[:, None]
    ways = np.array([comb(ploidy, g) for g in dose])
    out = (1 - inbreeding) * ways * alt**dose * (1 - alt) ** (ploidy - dose)
    out[:, 0] += inbreeding * (1 - alt[:, 0])
    out[:, -1] += inbreeding * alt[:, 0]
    return out


def allele_frequencies(
    tally: Tally,
    ploidy: int,
    alt: np.ndarray | None = None,
    inbreeding: float | None = None,
    n_steps: int = EM_STEPS,
) -> tuple[np.ndarray, float]:
    """Frequencies of ALT at each locus, float64 (L,), and the inbreeding coefficient of all, by EM.

    alt: where to begin. inbreeding: held at this value; None estimates it, from 0 to 1, where ploidy allows.
    """
    dose = np.arange(ploidy + 1) / ploidy
    alt = np.full(tally.n_loci, 0.2) if alt is None else alt
    f = 0.0 if inbreeding is None else inbreeding
    n_samples = tally.n_samples
    for step in range(n_steps):
        counts = tally.expected_counts(inbred_proportions(alt, ploidy, f))
        alt = np.clip(counts @ dose / np.maximum(n_samples, 1), LEAST_FREQUENCY, 1 - LEAST_FREQUENCY)
        if inbreeding is None and ploidy > 1 and step >= n_steps // 4:  # once the alleles are about right
            expected = (inbred_proportions(alt, ploidy)[:, 1:-1] * n_samples[:, None]).sum()
            f = float(np.clip(1 - counts[:, 1:-1].sum() / max(expected, TINY), 0, 1))
    return np.where(n_samples > 0, alt, 0.5), f


def inbreeding_of_samples(evidence: Evidence, loci: np.ndarray, alt: np.ndarray) -> np.ndarray:
    """The likeliest inbreeding coefficient of each sample, float64 (N,); 0 without evidence; of its diploid cells.

    Of noise around 0 half is negative, and stays so, down to LEAST_INBREEDING: a mean over samples is not biased then.
    loci: int64 (l,). alt: float (l,), their frequencies of ALT. ln P is concave: its slope is bisected.
    """
    ploidy = evidence.n_classes - 1
    out = np.zeros(len(evidence.codes))
    outbred, inbred = (inbred_proportions(alt, ploidy, f) for f in (0.0, 1.0))
    for sample, codes in enumerate(evidence.codes[:, loci]):
        known = (codes != FLAT) & ~evidence.is_haploid[codes]
        likelihoods = evidence.table[codes[known]]
        base = (outbred[known] * likelihoods).sum(1) + TINY
        ratio = (inbred[known] * likelihoods).sum(1) / base - 1.0
        low, high = LEAST_INBREEDING, 1.0
        for _ in range(BISECTIONS if known.any() else 0):
            middle = (low + high) / 2
            rises = (ratio / np.maximum(1.0 + middle * ratio, LEAST_RATIO)).sum() > 0
            low, high = (middle, high) if rises else (low, middle)
        out[sample] = (low + high) / 2 if known.any() else 0.0
    return out


def some_loci(n_samples: int, n_loci: int, cells: int = SUBSET_CELLS) -> np.ndarray:
    """Loci, int64, rising, evenly spread, that make about so many cells; all where there are no more."""
    wanted = max(1, cells // max(n_samples, 1))
    return np.arange(n_loci) if wanted >= n_loci else even_stretches(n_loci, wanted, 1)


def evidence_frequencies(
    evidence: Evidence, populations: np.ndarray | None = None, n_populations: int = 0, shrinkage: float = 2.0
) -> np.ndarray:
    """Genotype frequencies where calls are uncertain, by EM over likelihoods; float32 (populations + 1, loci, C).

    Populations and shrinkage as in `genotype_frequencies`. The frequencies of all samples are shrunk towards
    Hardy-Weinberg proportions at the mean inbreeding coefficient of the samples, by
    HARDY_WEINBERG_WEIGHT samples' worth.
    """
    ploidy = evidence.n_classes - 1
    n_samples, n_loci = evidence.codes.shape
    some = some_loci(n_samples, n_loci)
    alt, _ = allele_frequencies(Tally.of(evidence, some), ploidy, inbreeding=0.0)
    inbreeding = max(0.0, float(inbreeding_of_samples(evidence, some, alt).mean())) if ploidy > 1 else 0.0
    out = np.empty((n_populations + 1, n_loci, evidence.n_classes), np.float32)
    size = max(1, TALLY_CELLS // n_samples)
    for start in range(0, n_loci, size):
        loci = np.arange(start, min(start + size, n_loci))
        tally = Tally.of(evidence, loci)
        alt, _ = allele_frequencies(tally, ploidy, inbreeding=inbreeding)
        overall = shrunk(tally, HARDY_WEINBERG_WEIGHT * inbred_proportions(alt, ploidy, inbreeding))
        out[-1, loci] = overall
        for population in range(n_populations):
            assert populations is not None  # there are some
            own = Tally.of(evidence, loci, populations == population)
            out[population, loci] = shrunk(own, shrinkage * overall)
    return out


def shrunk(
    tally: Tally, pseudo: np.ndarray, frequencies: np.ndarray | None = None, n_steps: int = EM_STEPS // 2
) -> np.ndarray:
    """Genotype frequencies by EM, float64 (L, C), with pseudo-counts, float (L, C).

    frequencies: where to begin; None begins in the proportions of the pseudo-counts.
    """
    frequencies = pseudo / pseudo.sum(1, keepdims=True) if frequencies is None else frequencies
    for _ in range(n_steps):
        frequencies = tally.expected_counts(frequencies) + pseudo
        frequencies /= frequencies.sum(1, keepdims=True)
    return frequencies


def posterior(frequencies: np.ndarray, likelihoods: np.ndarray) -> np.ndarray:
    """P(genotype | data), float32 (..., C): a prior times likelihoods, each (..., C), brought to a sum of one.

    Where they exclude one another, the likelihoods alone decide.
    """
    joint = (np.asarray(frequencies, np.float32) + np.float32(1e-12)) * likelihoods
    return joint / np.maximum(joint.sum(-1, keepdims=True), np.float32(TINY))
