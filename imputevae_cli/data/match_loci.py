"""Matching the loci of a file to those of a model or of another file.

By chromosome, position, REF and ALT, and by ID where these do not tell loci apart. Loci that nothing tells apart are
left out.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np

from imputevae_cli.data.evidence import Evidence
from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix, Loci
from imputevae_cli.data.haploid import HaploidCells
from imputevae_cli.errors import CheckpointError

LEAST_OVERLAP = 0.5
"""A model serves a file only when it knows at least this share of the file's modelled loci."""

Key = tuple[str, int, str, str]
"""Chromosome, position, REF and ALT."""


@dataclass(frozen=True)
class Alignment:
    """A file's genotypes seen from a model's loci.

    genotypes: the file's, cut down to the loci to fill, in the file's order: those known to the model, less the context
    of a region. model_index: int64 (l,), the model's locus for each. swapped: bool (l,), where REF and ALT are
    exchanged. calls: int8 (N, model loci), the file's calls with those of the context, in the model's order and coding,
    -1 where the file has none. seen: bool (model loci,), where it has one. n_unknown: loci to fill that the model does
    not know, with those that cannot be told apart. evidence: of the cells of `calls`, or None where calls are certain.
    haploid: those of them that are haploid, or None where there are none.
    """

    genotypes: GenotypeMatrix
    model_index: np.ndarray
    swapped: np.ndarray
    calls: np.ndarray
    seen: np.ndarray
    n_unknown: int
    evidence: Evidence | None = None
    haploid: HaploidCells | None = None


def align_loci(genotypes: GenotypeMatrix, model_loci: Loci, ploidy: int, model_name: str) -> Alignment:
    """Match as `match_loci` does; loci that cannot be told apart pass through like those that the model does not know.

    A locus of the file whose REF and ALT are exchanged is recoded. Haploid genotypes suit a diploid model.
    Raises CheckpointError when the ploidy differs otherwise, or when less than LEAST_OVERLAP of the loci to fill
    that have a call are known to the model.
    """
    genotypes = _of_ploidy(genotypes, ploidy, model_name)
    if genotypes.loci is model_loci and not genotypes.is_context.any():  # those of the fit: no copy of their calls
        index, n_loci = np.arange(genotypes.n_loci), genotypes.n_loci
        swapped, seen = np.zeros(n_loci, bool), np.ones(n_loci, bool)
        return Alignment(genotypes, index, swapped, genotypes.calls, seen, 0, genotypes.evidence, genotypes.haploid)
    called = (genotypes.calls != MISSING).any(axis=0)
    index, swapped, ambiguous = match_loci(genotypes.loci, model_loci, called)
    found, wanted = index >= 0, ~genotypes.is_context
    n_ambiguous = int((ambiguous & wanted).sum())
    if (found & wanted & called).sum() < LEAST_OVERLAP * (wanted & called).sum():
        raise _too_few_known(genotypes, model_loci, model_name, found[wanted & called], n_ambiguous)
    calls, evidence, haploid = _as_the_model(genotypes, found, index[found], swapped[found], len(model_loci))
    seen = np.zeros(len(model_loci), bool)
    seen[index[found]] = True
    fill, n_unknown = found & wanted, int((wanted & ~found).sum())
    to_fill = _to_fill(genotypes, fill, n_unknown - n_ambiguous, n_ambiguous)
    return Alignment(to_fill, index[fill], swapped[fill], calls, seen, n_unknown, evidence, haploid)


def _of_ploidy(genotypes: GenotypeMatrix, ploidy: int, model_name: str) -> GenotypeMatrix:
    """The genotypes at the ploidy of a model. Raises CheckpointError where they cannot be seen so."""
    if (genotypes.ploidy, ploidy) == (1, 2):
        genotypes = genotypes.as_diploid()  # a file of males' chromosome X, say, of which the model knows more
    if genotypes.ploidy != ploidy:
        raise CheckpointError(
            f"{model_name}: was trained on ploidy {ploidy}, {genotypes.name} has ploidy {genotypes.ploidy}; "
            "train a model on genotypes like these"
        )
    return genotypes


def _too_few_known(
    genotypes: GenotypeMatrix, model_loci: Loci, model_name: str, known: np.ndarray, n_ambiguous: int
) -> CheckpointError:
    """That the model is of other loci. known: bool, of the loci to fill that have a call, whether the model has it."""
    return CheckpointError(
        f"{model_name}: knows {known.sum()} of the {len(known)} loci of {genotypes.name} (matched by chromosome, "
        f"position, REF and ALT, then by ID{_ambiguity(n_ambiguous)}; its first is {model_loci.in_words(0)}, the "
        f"file's {genotypes.loci.in_words(0)}), and at least {LEAST_OVERLAP:.0%} are needed; "
        f"{'give every locus an ID of its own in both files, or ' if n_ambiguous else ''}"
        "train a model on loci like these"
    )


def _as_the_model(
    genotypes: GenotypeMatrix, found: np.ndarray, where: np.ndarray, recode: np.ndarray, n_loci: int
) -> tuple[np.ndarray, Evidence | None, HaploidCells | None]:
    """Calls, evidence and haploid cells in the order and the coding of a model of `n_loci`.

    found: bool (L,), loci of the file that the model knows; of each, where: int64, its place there, and recode: bool,
    whether REF and ALT are exchanged.
    """
    shared = genotypes.calls if found.all() else genotypes.calls[:, found]
    if recode.any():
        exchanged = np.where(shared == MISSING, MISSING, genotypes.ploidy - shared).astype(np.int8)
        shared = np.where(recode, exchanged, shared)
    calls = np.full((genotypes.n_samples, n_loci), MISSING, np.int8)
    calls[:, where] = shared
    evidence = genotypes.evidence and genotypes.evidence.at_loci(found).placed(where, n_loci, recode)
    haploid = genotypes.haploid and genotypes.haploid.at_loci(found).placed(where, n_loci)
    return calls, evidence, haploid


def _ambiguity(n: int) -> str:
    return f"; {n} cannot be told apart" if n else ""


class LocusFinder:
    """Finds loci by (chrom, pos, ref, alt); the k-th of several equal loci is found the k-th time."""

    def __init__(self, loci: Loci):
        self._places = defaultdict(list)
        for i, key in enumerate(zip(loci.chrom, loci.pos.tolist(), loci.ref, loci.alt, strict=True)):
            self._places[key].append(i)
        for found in self._places.values():
            found.reverse()  # so that pop() gives them in order

    def find(self, chrom: str, pos: int, ref: str, alt: str) -> tuple[int, bool]:
        """The place of the locus, -1 where there is none, and whether REF and ALT are exchanged there."""
        for exchanged, key in ((False, (chrom, pos, ref, alt)), (True, (chrom, pos, alt, ref))):
            if self._places.get(key):
                return self._places[key].pop(), exchanged
        return -1, False


def match_loci(loci: Loci, others: Loci, called: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each of `loci` its place in `others`, int64 (l,), -1 where it has none.

    With it, whether alleles are exchanged, and whether a locus is without a place because others cannot be told from
    it, bool (l,) each.
    Those that share chromosome, position, REF and ALT with others of their file are matched by ID, which must be unique
    among them in both files. Two files that hold the very same loci in the same order are matched one by one; of `loci`
    those that are called, bool (l,), may be these: a model is fitted on no others.
    """
    everything = np.ones(len(loci), bool)
    for some in (everything, everything if called is None else called):
        if _are_same(loci.take(some), others):
            index = np.full(len(loci), -1, np.int64)
            index[some] = np.arange(len(others))
            return index, ~everything, ~everything
    mine, theirs = _Names(loci), _Names(others)
    index, swapped = np.full(len(loci), -1, np.int64), np.zeros(len(loci), bool)
    ambiguous = np.zeros(len(loci), bool)
    taken = set()
    for exchanged in (False, True):  # a locus and its mirror image each find their own first
        for i, key in enumerate(mine.keys):
            if index[i] >= 0 or ambiguous[i]:
                continue
            wanted = _exchanged(key) if exchanged else key
            if wanted not in theirs.places:
                continue
            place = _place(i, key, wanted, mine, theirs)
            if place is None or place in taken:
                ambiguous[i] = True
            elif place >= 0:
                index[i], swapped[i] = place, exchanged
                taken.add(place)
    return index, swapped, ambiguous


def _are_same(loci: Loci, others: Loci) -> bool:
    if len(loci) != len(others) or not np.array_equal(loci.pos, others.pos):
        return False
    columns = ((loci.chrom, others.chrom), (loci.ref, others.ref), (loci.alt, others.alt))
    if not all(np.array_equal(a, b) for a, b in columns):
        return False
    return (loci.ids is None and others.ids is None) or _ids(loci) == _ids(others)


class _Names:
    """What tells loci apart. keys: of each; places: the loci of each key; by_id: the loci of each ID."""

    def __init__(self, loci: Loci):
        alleles = ([allele.upper() for allele in column] for column in (loci.ref, loci.alt))  # `a` is `A` in VCF
        self.keys = list(zip(loci.chrom, loci.pos.tolist(), *alleles, strict=True))
        self.ids = _ids(loci)
        self.places, self.by_id = defaultdict(list), defaultdict(list)
        for i, (key, name) in enumerate(zip(self.keys, self.ids, strict=True)):
            self.places[key].append(i)
            if name:
                self.by_id[name].append(i)


def _place(i: int, key: Key, wanted: Key, mine: _Names, theirs: _Names) -> int | None:
    """The place of locus i among those of `wanted`, -1 where it is another locus, None where nothing tells."""
    name, there = mine.ids[i], theirs.places[wanted]
    same_id = [place for place in there if theirs.ids[place] == name] if name else []
    if len(mine.places[key]) == 1 and len(there) == 1:
        other = theirs.ids[there[0]]
        if not name or not other or name == other:
            return there[0]
        # IDs differ between data bases, so a position is believed; but 0 is none, and an ID that stands elsewhere
        # in either file says that this is not it
        return -1 if key[1] == 0 or name in theirs.by_id or other in mine.by_id else there[0]
    if len(same_id) == 1 and sum(mine.ids[place] == name for place in mine.places[key]) == 1:
        return same_id[0]
    if name and not same_id and all(theirs.ids[place] for place in there):
        return -1
    return None


def _exchanged(key: Key) -> Key:
    chrom, pos, ref, alt = key
    return chrom, pos, alt, ref


def _ids(loci: Loci) -> list[str]:
    return [""] * len(loci) if loci.ids is None else list(loci.ids)


def places_in_file(part: GenotypeMatrix, whole: GenotypeMatrix) -> np.ndarray:
    """For each locus of `part`, some loci of the matrix `whole` in its order, its place there, int64 (l,)."""
    if part.source is not None and whole.source is not None:
        rows = part.source.rows
        within = np.arange(len(rows)) - np.searchsorted(rows, rows)  # loci of one record follow one another
        return np.searchsorted(whole.source.rows, rows) + within
    finder = LocusFinder(whole.loci)
    keys = zip(part.loci.chrom, part.loci.pos.tolist(), part.loci.ref, part.loci.alt, strict=True)
    return np.array([finder.find(*key)[0] for key in keys], np.int64)


def _to_fill(genotypes: GenotypeMatrix, fill: np.ndarray, n_unknown: int, n_ambiguous: int) -> GenotypeMatrix:
    """Only the loci of `fill`, bool (L,); those that the model does not know pass through, counted by reason."""
    genotypes = genotypes.at_loci(fill)
    source = genotypes.source
    counts = {"not in the model": n_unknown, "not to be told apart from others, for want of IDs": n_ambiguous}
    counts = {reason: count for reason, count in counts.items() if count}
    if source is None or not counts:
        return genotypes
    return replace(genotypes, source=replace(source, passed_through={**source.passed_through, **counts}))
