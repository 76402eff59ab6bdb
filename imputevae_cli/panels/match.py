"""Which loci of the targets a panel has: by chromosome, position and alleles, whatever their order and strand."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix, Loci
from imputevae_cli.errors import CheckpointError
from imputevae_cli.panels.store import PanelStore

PREFIX = "chr"
NO_CHROMOSOME, NO_POSITION = "on chromosomes that the panel lacks", "at positions that the panel lacks"
SEVERAL, OTHER_ALLELES = "of records with several ALT alleles", "with other alleles there, repeated, or doubtful"
"""Reasons why a locus of the targets is not found in the panel."""
STRAND = str.maketrans("ACGT", "TGCA")
LEAST_GAP, STANDARD_ERRORS = 0.2, 4.0
"""Frequencies of an A/T or C/G locus that differ by more than both say that the strands do, if the other strand fits
better: a fifth is what continents differ by at few loci, and four standard errors rule out chance."""
ENOUGH = 20
"""So many SNPs whose strand their alleles tell, all of the panel's, say that the A/T and C/G loci are of it too: their
frequencies differ as populations do."""

FEW = 0.5
"""Where fewer of the targets' loci than this share are in the panel, something may be wrong."""

SAME, EXCHANGED, OTHER_STRAND = 0, 1, 2
"""How alleles agree; OTHER_STRAND + EXCHANGED is both."""


@dataclass(frozen=True)
class PanelMatch:
    """The targets' loci in the panel.

    place: int64 (l,), the locus's place on its chromosome of the panel, -1 where it has none. Places rise within a
    chromosome. exchanged: bool (l,), whether the panel's ALT is the targets' REF. chroms: the targets' chromosomes that
    the panel has -> the panel's names. n_exchanged, n_other_strand: loci so matched. doubtful: int64, A/T and C/G loci
    whose frequencies fit the other strand. uses_doubtful: whether these are used all the same, see ENOUGH. unmatched:
    reason -> loci without a place.
    """

    place: np.ndarray
    exchanged: np.ndarray
    chroms: dict[str, str] = field(default_factory=dict)
    n_other_strand: int = 0
    doubtful: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    uses_doubtful: bool = False
    unmatched: dict[str, int] = field(default_factory=dict)

    @property
    def typed(self) -> np.ndarray:
        """bool (l,): loci that the panel has."""
        return self.place >= 0

    @property
    def n_exchanged(self) -> int:
        """Loci of the panel whose REF and ALT are exchanged."""
        return int((self.exchanged & self.typed).sum())

    def lines(self, loci: Loci) -> list[str]:
        """What a user should know, a sentence each. loci: the targets'."""
        typed, n_loci = self.typed, len(self.place)
        lines = [f"{int(typed.sum()):,} of {n_loci:,} loci are in the panel"]
        if self.unmatched:
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.unmatched.items())
            lines.append(f"the others are not used: {reasons}")
        renamed = [(mine, theirs) for mine, theirs in self.chroms.items() if mine != theirs]
        if renamed:
            lines.append(f"chromosomes have other names in the panel: {renamed[0][0]} is {renamed[0][1]} there")
        if self.n_exchanged:
            lines.append(f"REF and ALT are exchanged in the panel at {self.n_exchanged:,} loci; INPUT's are written")
        if self.n_other_strand:
            lines.append(f"{self.n_other_strand:,} loci are of the other strand in the panel; INPUT's is written")
        return lines

    def warnings(self, loci: Loci) -> list[str]:
        """What may be wrong with the targets, a sentence each."""
        found = []
        here = np.isin(loci.chrom, list(self.chroms))
        n_typed, n_loci = int(self.typed[here].sum()), int(here.sum())
        if n_typed < FEW * n_loci:
            found.append(
                f"only {n_typed:,} of {n_loci:,} loci on the panel's chromosomes are in the panel; if most should be, "
                "see that both are of one reference genome (`bcftools +liftover`), with alleles written alike "
                "(`bcftools norm -f REF.fa`)"
            )
        return found + self._on_strands(loci)

    def _on_strands(self, loci: Loci) -> list[str]:
        if not len(self.doubtful):
            return []
        first = self.doubtful[0]
        what = "not used, and pass through"
        if self.uses_doubtful:
            what = "used, as no other locus is of that strand"
        return [
            f"{len(self.doubtful):,} A/T or C/G loci, such as {loci.chrom[first]}:{loci.pos[first]}, have frequencies "
            f"that fit the panel's other strand; they are {what}"
        ]


def panel_name(chrom: str, known: tuple[str, ...]) -> str | None:
    """What the panel calls a chromosome: the same, or with or without `chr`; None where it has none."""
    other = chrom.removeprefix(PREFIX) if chrom.startswith(PREFIX) else PREFIX + chrom
    return next((name for name in (chrom, other) if name in known), None)


def match_panel(genotypes: GenotypeMatrix, store: PanelStore) -> PanelMatch:
    """Raises CheckpointError where the panel has none of the loci."""
    loci = genotypes.loci
    place = np.full(len(loci), -1, np.int64)
    how = np.zeros(len(loci), np.int64)
    chroms: dict[str, str] = {}
    wrong = np.zeros(len(loci), bool)
    for chrom in dict.fromkeys(loci.chrom.tolist()):
        name = panel_name(chrom, store.chroms)
        if name is None:
            continue
        here = np.flatnonzero(loci.chrom == chrom)
        place[here], how[here] = _match_chromosome(loci.take(here), store, name)
        wrong[here] = _doubtful(genotypes, here, place[here], how[here], store, name)
        chroms[chrom] = name
    tells_strand = (place >= 0) & ~_is_ambiguous(loci)
    is_other = tells_strand & (how >= OTHER_STRAND)
    uses_doubtful = not is_other.any() and int(tells_strand.sum()) >= ENOUGH
    if not uses_doubtful:
        place[wrong] = -1
    chroms = {mine: theirs for mine, theirs in chroms.items() if (place[loci.chrom == mine] >= 0).any()}
    if not chroms:
        raise CheckpointError(_nothing_shared(genotypes, store))
    unmatched = _why_unmatched(loci, place, store)
    doubtful = np.flatnonzero(wrong)
    return PanelMatch(place, how % 2 == EXCHANGED, chroms, int(is_other.sum()), doubtful, uses_doubtful, unmatched)


def _nothing_shared(genotypes: GenotypeMatrix, store: PanelStore) -> str:
    """The error where no locus is shared: what is wrong, and the fix."""
    loci, file = genotypes.loci, genotypes.name
    mine = list(dict.fromkeys(loci.chrom.tolist()))
    if not any(panel_name(chrom, store.chroms) for chrom in mine):
        return (
            f"{store.name}: has none of the chromosomes of {file} ({', '.join(mine[:3])}; the panel's are "
            f"{', '.join(store.chroms[:3])}); give a panel of them, or rename them (`bcftools annotate --rename-chrs`)"
        )
    return (
        f"{store.name}: has none of the {len(loci):,} loci of {file}, by chromosome, position and alleles; give a "
        "panel of the same reference genome, or lift one over (`bcftools +liftover`)"
    )


def _why_unmatched(loci: Loci, place: np.ndarray, store: PanelStore) -> dict[str, int]:
    """Reason -> loci without a place, int64 (l,)."""
    left = place < 0
    names = {chrom: panel_name(chrom, store.chroms) for chrom in dict.fromkeys(loci.chrom[left].tolist())}
    counts = dict.fromkeys((NO_CHROMOSOME, SEVERAL, NO_POSITION, OTHER_ALLELES), 0)
    for chrom, name in names.items():
        here = left & (loci.chrom == chrom)
        if name is None:
            counts[NO_CHROMOSOME] += int(here.sum())
            continue
        several = here & np.array(["," in alt for alt in loci.alt], bool)
        there = np.isin(loci.pos, store.positions(name))
        counts[SEVERAL] += int(several.sum())
        counts[NO_POSITION] += int((here & ~several & ~there).sum())
        counts[OTHER_ALLELES] += int((here & ~several & there).sum())
    return {reason: count for reason, count in counts.items() if count}


def _is_ambiguous(loci: Loci) -> np.ndarray:
    """bool (l,): A/T and C/G loci, which look the same on either strand, and what is no SNP: none tells the strand."""
    pairs = zip(loci.ref, loci.alt, strict=True)
    return np.array(
        [len(ref) > 1 or len(alt) > 1 or ref.upper().translate(STRAND) == alt.upper() for ref, alt in pairs], bool
    )


def _match_chromosome(loci: Loci, store: PanelStore, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The place of each locus of a chromosome in the panel, int64 (l,), -1 for none, and how alleles agree, int64."""
    positions = store.positions(name)
    near = np.flatnonzero(np.isin(positions, loci.pos))
    panel = store.loci(name, near)
    by_pos: dict[int, list[int]] = {}
    for i, pos in enumerate(panel.pos.tolist()):
        by_pos.setdefault(pos, []).append(i)
    place, how = np.full(len(loci), -1, np.int64), np.zeros(len(loci), np.int64)
    last = -1
    for i, (pos, ref, alt) in enumerate(zip(loci.pos.tolist(), loci.ref, loci.alt, strict=True)):
        free = [j for j in by_pos.get(pos, ()) if near[j] > last]  # each once, and in order
        ways = {j: _agreement(ref, alt, panel.ref[j], panel.alt[j]) for j in free}
        fitting = {j: way for j, way in ways.items() if way is not None}
        if fitting:
            best = min(fitting, key=lambda j: (fitting[j], j))
            place[i], how[i] = near[best], fitting[best]
            last = int(near[best])
    return place, how


def _agreement(ref: str, alt: str, panel_ref: str, panel_alt: str) -> int | None:
    """How two alleles, in upper or lower case, agree with the panel's; None where they do not. Only SNPs have another
    strand, and A/T and C/G, which look the same on it, are taken for exchanged alleles."""
    ref, alt, panel_ref, panel_alt = ref.upper(), alt.upper(), panel_ref.upper(), panel_alt.upper()
    strands = [(panel_ref, panel_alt)]
    if len(ref) == len(alt) == 1:
        strands.append((panel_ref.translate(STRAND), panel_alt.translate(STRAND)))
    for strand, (one, other) in zip((SAME, OTHER_STRAND), strands, strict=False):
        if (ref, alt) == (one, other):
            return strand
        if (ref, alt) == (other, one):
            return strand + EXCHANGED
    return None


def _doubtful(
    genotypes: GenotypeMatrix, here: np.ndarray, found: np.ndarray, how: np.ndarray, store: PanelStore, name: str
) -> np.ndarray:
    """bool (l,): A/T and C/G loci whose frequencies fit the panel's other strand.

    here: int64 (l,), the loci of one chromosome; found, how: int64 (l,), see `_match_chromosome`.
    """
    loci = genotypes.loci.take(here)
    is_snp = np.array([len(ref) == len(alt) == 1 for ref, alt in zip(loci.ref, loci.alt, strict=True)], bool)
    ambiguous = _is_ambiguous(loci) & is_snp & (found >= 0)
    calls = genotypes.calls[:, here[ambiguous]]
    n_alleles = 2 * (calls != MISSING).sum(axis=0)
    count = np.where(calls == MISSING, 0, calls).sum(axis=0, dtype=np.int64)
    ours = count / np.maximum(n_alleles, 1)
    ours = np.where(how[ambiguous] % 2 == EXCHANGED, 1 - ours, ours)
    theirs = store.alt_counts(name)[found[ambiguous]] / store.n_haplotypes
    gap = np.abs(ours - theirs)
    pooled = (count + store.alt_counts(name)[found[ambiguous]] + 1) / (n_alleles + store.n_haplotypes + 2)
    error = np.sqrt(pooled * (1 - pooled) * (1 / np.maximum(n_alleles, 1) + 1 / store.n_haplotypes))
    wrong = np.zeros(len(here), bool)
    wrong[ambiguous] = (
        (n_alleles > 0) & (gap > np.maximum(LEAST_GAP, STANDARD_ERRORS * error)) & (np.abs(1 - ours - theirs) < gap)
    )
    return wrong
