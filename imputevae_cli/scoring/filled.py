"""What filling does to a file, counted block by block while a writer asks for them: nothing of the size of GP is kept.

A record of several ALT alleles counts once, by the first of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imputevae_cli.data.fill_bias import FillBias
from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix, ImputedBlock, ImputedBlocks
from imputevae_cli.io.vcf_info import impute_info
from imputevae_cli.scoring.pca import Relationship
from imputevae_cli.scoring.popgen import (
    Counts,
    Sums,
    add_heterozygosity,
    add_spectrum,
    count_calls,
    groups_of,
    heterozygosity_of_classes,
)

STRETCHES = 48
"""Runs of neighbouring loci, of one length, in which missing calls are counted by population."""
PCA_SAMPLES = 1000
"""Samples of a PCA: of more, this many, evenly spaced, are taken."""
PCA_PRODUCTS = 2e10
"""Products of two calls that a PCA may cost, some seconds: beyond them evenly spaced loci are taken."""
STRIP_CELLS = 1 << 20
"""Cells that are counted at a time."""
VIEWS = ("visible", "imputed", "expected")
"""Known calls; all calls once the missing ones are filled; what the genotype probabilities of all cells expect."""


@dataclass(frozen=True)
class Strip:
    """A few loci of a block: their numbers, int64 (b,), the calls before, int8 (N, b), the block, and which of its
    cells are haploid, bool (N, b), or None."""

    loci: np.ndarray
    before: np.ndarray
    block: ImputedBlock
    haploid: np.ndarray | None


class Filled:
    """Counts of an imputation; `add` takes each locus once, in any order."""

    def __init__(self, genotypes: GenotypeMatrix):
        self.genotypes = genotypes
        self.names, self.codes = groups_of(genotypes.populations, genotypes.n_samples)
        members = (np.arange(len(self.names))[:, None] == self.codes).astype(np.float32)  # (P, N)
        self.missing = Missingness(members, genotypes.n_loci)
        self.confidence = Confidence(genotypes.n_samples, genotypes.n_loci)
        self.frequencies = Frequencies(self.codes, genotypes.n_loci, genotypes.ploidy)
        self.structure = Structure(genotypes)
        self.visible = VisibleCalls(genotypes.n_classes)
        self.bias = FillBias()
        self._seen = np.zeros(genotypes.n_loci, bool)
        self.counts_locus = genotypes.loci.begins_record

    def add(self, start: int, block: ImputedBlock) -> None:
        """Count a block that begins at locus `start`; loci that were counted before are passed over."""
        n_samples, n_loci = block.calls.shape
        step = max(1, STRIP_CELLS // max(n_samples, 1))
        for first in range(0, n_loci, step):
            loci = np.arange(start + first, start + min(first + step, n_loci))
            loci = loci[~self._seen[loci]]
            if len(loci):
                self._seen[loci] = True
                self.bias.add(_at(block, loci - start))
                self._add_strip(loci[self.counts_locus[loci]], block, start)

    def _add_strip(self, loci: np.ndarray, block: ImputedBlock, start: int) -> None:
        haploid = self.genotypes.haploid
        alone = None if haploid is None else haploid.samples[:, haploid.stretch[loci]]
        strip = Strip(loci, self.genotypes.calls[:, loci], _at(block, loci - start), alone)
        for part in (self.missing, self.confidence, self.frequencies, self.structure, self.visible):
            part.add(strip)

    def complete(self, imputed: ImputedBlocks, size: int = 2048) -> Filled:
        """Ask for the loci that no writer has asked for."""
        for start, stop in self.genotypes.loci.blocks(size):
            if not self._seen[start:stop].all():
                self.add(start, imputed.block(start, stop))
        return self

    @property
    def n_records(self) -> int:
        """Number of records that are counted: a locus each, but of several ALT alleles the first."""
        return int(self.counts_locus.sum())


class Missingness:
    """Missing calls before filling, [0], and after, [1]: by sample (2, N), locus (2, L), population and stretch of loci
    (2, P, S); cells (P, S)."""

    def __init__(self, members: np.ndarray, n_loci: int):
        n_stretches = max(1, min(STRETCHES, n_loci))
        self._members = members
        self.stretch_of = np.arange(n_loci) * n_stretches // max(n_loci, 1)
        self.by_sample = np.zeros((2, members.shape[1]), np.int64)
        self.by_locus = np.zeros((2, n_loci), np.int32)
        self.by_stretch = np.zeros((2, len(members), n_stretches), np.int64)
        self.cells = np.zeros((len(members), n_stretches), np.int64)

    def add(self, strip: Strip) -> None:
        """Count the cells that are missing before and after."""
        stretches = self.stretch_of[strip.loci]
        sizes = self._members.sum(1).astype(np.int64)
        np.add.at(self.cells.T, stretches, sizes[None])
        for k, calls in enumerate((strip.before, strip.block.calls)):
            missing = calls == MISSING
            self.by_sample[k] += missing.sum(1)
            self.by_locus[k, strip.loci] = missing.sum(0)
            np.add.at(self.by_stretch[k].T, stretches, (self._members @ missing).T.astype(np.int64))

    @property
    def by_population(self) -> np.ndarray:
        """float64 (2, P): shares of the calls."""
        return self.by_stretch.sum(2) / np.maximum(self.cells.sum(1), 1)


class Confidence:
    """How sure the model is of calls that were missing.

    histogram: of their best GP in thousandths, int64 (1001,). total, n: sums and numbers by sample, int64 (N,). info:
    the info score of each locus, float32 (L,), NaN where none was filled.
    """

    def __init__(self, n_samples: int, n_loci: int):
        self.histogram = np.zeros(1001, np.int64)
        self.total, self.n = np.zeros(n_samples, np.int64), np.zeros(n_samples, np.int64)
        self.info = np.full(n_loci, np.nan, np.float32)

    def add(self, strip: Strip) -> None:
        """Count the best GP of the cells that were filled."""
        best = strip.block.gp.max(2)
        filled = (strip.before == MISSING) & (best > 0)
        self.histogram += np.bincount(best[filled], minlength=1001)
        self.total += np.where(filled, best, 0).sum(1, dtype=np.int64)
        self.n += filled.sum(1)
        self.info[strip.loci] = impute_info(strip.block, strip.haploid)

    @property
    def by_sample(self) -> np.ndarray:
        """float64 (N,): mean best GP, NaN where nothing was missing."""
        with np.errstate(invalid="ignore"):
            return np.where(self.n > 0, self.total / np.maximum(self.n, 1) / 1000, np.nan)

    @property
    def mean(self) -> float:
        """Mean best GP of all calls that were missing; NaN where none was."""
        return float(self.total.sum() / 1000 / self.n.sum()) if self.n.any() else float("nan")

    def share_from(self, gp: float) -> float:
        """The share of them whose best GP is at least this."""
        return float(self.histogram[round(1000 * gp) :].sum() / max(self.histogram.sum(), 1))


class Frequencies:
    """ALT frequencies of each locus, float32 (L,), and sums of heterozygosity and spectrum, of each of VIEWS.

    Haploid cells of a diploid file have no part: they have no heterozygosity.
    """

    def __init__(self, codes: np.ndarray, n_loci: int, ploidy: int):
        self._codes, self.ploidy = codes, ploidy
        self.alt = {view: np.full(n_loci, np.nan, np.float32) for view in VIEWS}
        self.sums = {view: Sums.zeros(int(codes.max(initial=0)) + 1) for view in VIEWS}

    def add(self, strip: Strip) -> None:
        """Count ALT copies and genotypes in each view."""
        before, after, gp = strip.before, strip.block.calls, strip.block.gp
        if strip.haploid is not None:
            before, after = (np.where(strip.haploid, np.int8(MISSING), calls) for calls in (before, after))
            gp = np.where(strip.haploid[..., None], np.uint16(0), gp)
        counts = {
            "visible": count_calls(before, self._codes, self.ploidy),
            "imputed": count_calls(after, self._codes, self.ploidy),
            "expected": self._expected(gp),
        }
        reference = counts["visible"]
        for view, of_view in counts.items():
            usable = (of_view.n >= 2) & (reference.n >= 2)
            add_heterozygosity(self.sums[view], of_view, usable, self.ploidy)
            add_spectrum(self.sums[view], of_view, reference, self.ploidy)
            n = of_view.n.sum(0)
            share = of_view.alt.sum(0) / np.maximum(self.ploidy * n, 1)
            self.alt[view][strip.loci] = np.where(n > 0, share, np.nan)

    def _expected(self, gp: np.ndarray) -> Counts:
        """What probabilities in thousandths, uint16 (N, b, C), expect."""
        n_groups = int(self._codes.max()) + 1
        members = (np.arange(n_groups)[:, None] == self._codes).astype(np.float32)
        weights = (
            np.arange(self.ploidy + 1, dtype=np.float32),
            heterozygosity_of_classes(self.ploidy).astype(np.float32),
        )
        alt, het = ((members @ (gp @ weight)).astype(np.float64) / 1000 for weight in weights)
        return Counts((members @ gp.any(2)).astype(np.float64), alt, het)


class Structure:
    """Sums for a PCA before and after, of evenly spaced samples and loci where there are very many."""

    def __init__(self, genotypes: GenotypeMatrix):
        n_samples, n_loci = genotypes.n_samples, genotypes.n_loci
        self.samples = np.unique(np.linspace(0, n_samples - 1, min(n_samples, PCA_SAMPLES)).astype(np.int64))
        most = max(1, int(PCA_PRODUCTS / max(len(self.samples), 1) ** 2))
        self.step = max(1, -(-n_loci // most))
        self.sums = Relationship(genotypes.ploidy)
        self.n_loci = 0

    def add(self, strip: Strip) -> None:
        """Take every `step`-th locus into the relationships."""
        here = np.ix_(self.samples, np.flatnonzero(strip.loci % self.step == 0))
        self.n_loci += here[1].size
        self.sums.add({"visible": strip.before[here], "imputed": strip.block.calls[here]})


class VisibleCalls:
    """Visible calls that their likelihoods or reads leave open.

    changes: their genotype before and after, int64 (C, C). histogram: of their best GP in thousandths, int64 (1001,).
    n_likelier_otherwise: how many have another likeliest genotype, whether or not they were rewritten.
    """

    def __init__(self, n_classes: int):
        self.changes = np.zeros((n_classes, n_classes), np.int64)
        self.histogram = np.zeros(1001, np.int64)
        self.n_likelier_otherwise = 0

    def add(self, strip: Strip) -> None:
        """Count the visible calls that are uncertain."""
        block = strip.block
        if block.uncertain is None:
            return
        before, after, gp = strip.before[block.uncertain], block.calls[block.uncertain], block.gp[block.uncertain]
        n_classes = len(self.changes)
        pairs = np.bincount(before.astype(np.int64) * n_classes + after, minlength=n_classes**2)
        self.changes += pairs.reshape(n_classes, n_classes)
        self.histogram += np.bincount(gp.max(1), minlength=1001)
        self.n_likelier_otherwise += int((gp.argmax(1) != before).sum())

    @property
    def n(self) -> int:
        """Visible calls that are uncertain."""
        return int(self.changes.sum())

    @property
    def n_refined(self) -> int:
        """Those of them that were rewritten."""
        return self.n - int(self.changes.trace())


def _at(block: ImputedBlock, columns: np.ndarray) -> ImputedBlock:
    """Some loci of a block, int64 rising; no copy where they are all of it."""
    if len(columns) == block.calls.shape[1]:
        return block
    some = slice(int(columns[0]), int(columns[-1]) + 1) if _in_one_piece(columns) else columns
    uncertain, refined = (part if part is None else part[:, some] for part in (block.uncertain, block.refined))
    return ImputedBlock(block.calls[:, some], block.gp[:, some], block.imputed[:, some], None, uncertain, refined)


def _in_one_piece(columns: np.ndarray) -> bool:
    return len(columns) > 0 and int(columns[-1] - columns[0]) == len(columns) - 1
