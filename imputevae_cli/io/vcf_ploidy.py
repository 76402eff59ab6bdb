"""The ploidy of each sample along a file, from its calls: 1 or 2 on each chromosome, or on stretches of one.

A polyploid file has one ploidy alone.

A chromosome such as X has stretches where males are haploid, and others, at its ends, where they are not. A change for
a run of records makes a new stretch; a single record that contradicts its neighbours is not modelled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.data.haploid import HaploidCells
from imputevae_cli.io.vcf_genotypes import NO_HAPLOID, PLOIDY_OF

RUN = 3
"""So many records in a row that agree on other ploidies begin a new stretch."""
RECENT = 1000
"""So many records tell the ploidy of one without a call."""
HAPLOID, DIPLOID, BOTH = 1, 2, 3
"""What the calls of a record show, as bits; those of polyploids are above, see `vcf_genotypes.PLOIDY_OF`."""


@dataclass
class PloidiesSeen:
    """What the calls of the records show, a record at a time.

    shown: HAPLOID, DIPLOID, BOTH or the bit of a polyploid, of each; 0 where there is no call. rows: for a record of
    BOTH, the samples with a haploid call, and those whose missing call is spelled as a haploid one, bits of bool
    (2, N); None for any other: all its calls are alike.
    """

    n_samples: int
    shown: list[int] = field(default_factory=list)
    rows: list[np.ndarray | None] = field(default_factory=list)

    def take(self, states: np.ndarray, shown: np.ndarray) -> None:
        """Keep what records show; states: uint8 (b, N), see `vcf_genotypes`; shown: int (b,)."""
        rows: list[np.ndarray | None] = [None] * len(states)
        for i in np.flatnonzero(shown == BOTH).tolist():
            rows[i] = np.packbits(np.stack([PLOIDY_OF[states[i]] == HAPLOID, states[i] == NO_HAPLOID]), axis=1)
        self.shown.extend(shown.tolist())
        self.rows.extend(rows)

    def forget(self, n: int) -> None:
        """Forget the first records."""
        del self.shown[:n], self.rows[:n]

    @property
    def commonest(self) -> int:
        """The ploidy of most records, the higher one of two that are as common; haploids count with diploids, as 2."""
        return _commonest(self.shown)

    @property
    def unshown(self) -> int:
        """The ploidy that a record without a call is taken to have: of polyploids that of most of the last records,
        else 0, unknown."""
        commonest = _commonest(self.shown[-RECENT:])
        return commonest if commonest > 2 else 0

    @property
    def is_uniform(self) -> bool:
        """Whether all records but those of polyploids show one ploidy alone."""
        found = {bits for bits in self.shown if 0 < bits <= BOTH}
        return len(found) < 2 and BOTH not in found

    def resolved(self, blocks: Iterable[np.ndarray], chroms: np.ndarray) -> tuple[np.ndarray, HaploidCells]:
        """Whether each record agrees with its stretch, bool (L,), and the haploid cells.

        Records of polyploids say nothing. blocks: the calls of all records, int8 (b, N). chroms: int (L,), a number for
        each run of records on one chromosome.
        """
        stretches = _Stretches(self.n_samples)
        shown = np.array(self.shown)
        only_diploid = np.ones(chroms.max(initial=0) + 1, bool)
        np.logical_and.at(only_diploid, chroms, (shown == DIPLOID) | (shown > BOTH) | (shown == 0))
        before = -1
        for row, calls in enumerate(row for block in blocks for row in block):
            chrom = int(chroms[row])
            if chrom != before:
                stretches.end()
                before = chrom
            if only_diploid[chrom]:
                stretches.diploid()
            else:
                stretches.add(*self._ploidies(row, calls))
        return stretches.done()

    def _ploidies(self, row: int, calls: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The ploidy that each sample shows in a record, int8 (N,), 0 for none, and of its missing call's spelling."""
        known, kind, bits = calls != MISSING, self.shown[row], self.rows[row]
        if kind > BOTH:
            return np.zeros(len(calls), np.int8), np.zeros(len(calls), np.int8)
        if bits is None:
            return np.where(known, kind, 0).astype(np.int8), np.zeros(len(calls), np.int8)
        haploid, spelled = np.unpackbits(bits, axis=1, count=len(calls)).astype(bool)
        return np.where(haploid, 1, np.where(known, 2, 0)).astype(np.int8), np.where(spelled, 1, -1).astype(np.int8)


def _commonest(shown: Iterable[int]) -> int:
    counts = Counter(bits if bits > BOTH else DIPLOID for bits in shown if bits)
    return max(counts, key=lambda bit: (counts[bit], bit), default=DIPLOID).bit_length()


class _Stretches:
    """Stretches in the making. Stretch 0 is that of chromosomes where nobody is haploid."""

    def __init__(self, n_samples: int):
        self._n = n_samples
        self._patterns: list[np.ndarray] = [np.full(n_samples, 2, np.int8)]
        self._spelled: list[np.ndarray] = [np.zeros(n_samples, np.int64)]
        self._of_record: list[int] = []  # -1: the record agrees with no stretch
        self._pattern: np.ndarray | None = None
        self._waiting: list[tuple[np.ndarray, np.ndarray]] = []  # records that contradict the stretch before them

    def diploid(self) -> None:
        self._of_record.append(0)

    def add(self, shown: np.ndarray, spelled: np.ndarray) -> None:
        """Add a record, or have it wait until others confirm what it shows; int8 (N,) each."""
        if self._pattern is None or not _clash(self._pattern, shown):
            self._waiting.clear()
            self._join(shown, spelled)
            self._of_record.append(len(self._patterns) - 1)
            return
        while self._waiting and any(_clash(other, shown) for other, _ in self._waiting):
            self._waiting.pop(0)
        self._waiting.append((shown, spelled))
        self._of_record.append(-1)
        if len(self._waiting) == RUN:
            waiting, self._waiting = self._waiting, []
            self._pattern = None
            for one in waiting:
                self._join(*one)
            self._of_record[-RUN:] = [len(self._patterns) - 1] * RUN

    def _join(self, shown: np.ndarray, spelled: np.ndarray) -> None:
        if self._pattern is None:
            self._pattern = np.zeros(self._n, np.int8)
            self._patterns.append(self._pattern)
            self._spelled.append(np.zeros(self._n, np.int64))
        np.copyto(self._pattern, shown, where=self._pattern == 0)
        self._spelled[-1] += spelled

    def end(self) -> None:
        """End a chromosome."""
        self._waiting.clear()
        self._pattern = None

    def done(self) -> tuple[np.ndarray, HaploidCells]:
        """See `PloidiesSeen.resolved`."""
        patterns, spelled = np.stack(self._patterns, 1), np.stack(self._spelled, 1)  # (N, S)
        all_haploid = (patterns != 2).all(0)
        absent = (patterns == 0) & all_haploid
        haploid = (patterns == 1) | absent | ((patterns == 0) & (spelled > 0))
        of_record = np.array(self._of_record, np.int32)
        return of_record >= 0, HaploidCells(np.maximum(of_record, 0), haploid, absent)


def _clash(pattern: np.ndarray, shown: np.ndarray) -> bool:
    """Whether two sets of ploidies, 0 for unknown, contradict each other."""
    return bool(((pattern != shown) & (pattern != 0) & (shown != 0)).any())


def chromosomes(chroms: Iterable[str]) -> np.ndarray:
    """int64 (L,): a number for each run of records on one chromosome."""
    return np.fromiter(_runs(chroms), np.int64)


def _runs(chroms: Iterable[str]) -> Iterator[int]:
    number, before = -1, None
    for chrom in chroms:
        number += chrom != before
        before = chrom
        yield number
