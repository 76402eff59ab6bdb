"""Imputed genotypes: the missing calls filled with the likeliest genotype, the visible ones as they were or refined."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from imputevae_cli.data import interchange
from imputevae_cli.data.alleles import nearest_to_doses
from imputevae_cli.data.evidence_frequencies import evidence_frequencies, posterior
from imputevae_cli.data.fill_bias import Watched
from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix, ImputedBlock, missing_per_sample
from imputevae_cli.data.joint import BlockFunction, Joiner, cut
from imputevae_cli.data.thousandths import to_thousandths
from imputevae_cli.data.validate import check_calls
from imputevae_cli.errors import ConfigError
from imputevae_cli.io.formats.base import Writing
from imputevae_cli.io.formats.phylip import iupac, write_phylip
from imputevae_cli.io.formats.registry import format_of
from imputevae_cli.io.vcf_writer import WriteSummary
from imputevae_cli.log import ProgressOption, counted, logger
from imputevae_cli.scoring.metrics import call_by_dosage

BLOCK = 2048
"""Loci at a time, where the caller does not say."""

CALLS = ("map", "dosage")
"""How a genotype is called: the likeliest one (maximum a posteriori), or the one nearest to the dosage."""


def check_call(call: str) -> None:
    """Raise ConfigError for what is none of CALLS."""
    if call not in CALLS:
        raise ConfigError(f"call is {call!r}; give map (the likeliest genotype) or dosage (DS, rounded)")


class ImputedGenotypes:
    """Genotype probabilities behind a matrix of calls, computed block by block.

    Probabilities are rounded to thousandths that sum to one, and calls and dosages are taken from the rounded
    ones: what a notebook sees, what a file says, and GT, GP and DS among themselves always agree.
    """

    def __init__(
        self,
        genotypes: GenotypeMatrix,
        gp: BlockFunction,
        min_gp: float = 0.0,
        phase: BlockFunction | None = None,
        has_calls: np.ndarray | None = None,
        *,
        refine: bool = False,
        draws: Callable[[int], BlockFunction] | None = None,
        call: str = "map",
        numbers: np.ndarray | None = None,
    ):
        """gp: genotype probabilities of loci start..stop, float32 (samples, stop - start, classes). phase: whether a
        heterozygote's ALT comes first, bool (samples, stop - start), or None. min_gp: a filled call whose best
        probability is under this is left missing, with its GP kept. has_calls: bool (samples,), samples with any
        call to go by, here or elsewhere; None goes by these genotypes. refine: rewrite visible calls whose posterior
        says otherwise. draws: number -> genotypes of loci start..stop, int8 (samples, stop - start), drawn from the
        posterior; without it each cell is drawn by itself, by the locus's number, int64 (loci,), where these are some
        of more loci. call: one of CALLS, by which genotypes are called.
        """
        self.genotypes = genotypes
        self._gp = lru_cache(maxsize=1)(gp)  # draws ask for a block again
        self._phase = phase
        if not 0 <= min_gp <= 1:
            raise ConfigError(f"min_gp is {min_gp}; give a probability from 0 to 1")
        self._min_thousandths = round(min_gp * 1000)
        with_calls = missing_per_sample(genotypes.calls) < genotypes.n_loci if has_calls is None else has_calls
        evidence = genotypes.evidence
        if evidence is not None:
            with_calls = with_calls | evidence.known(slice(None), 0, genotypes.n_loci).any(1)
        self.has_calls = with_calls  # (N,)
        check_call(call)
        self.call = call
        self.refines = refine
        self._draws, self._numbers = draws, numbers
        self._drawn: BlockFunction | None = None
        self._number: int | None = None

    def draw(self, number: int) -> ImputedGenotypes:
        """The same with genotypes drawn from the posterior in place of the likeliest; GP and DS stay what they are.

        number: which draw, from 1 on. A drawn cell stays missing where its probability misses `min_gp`.
        """
        other = copy(self)
        for name in ("calls", "gp", "dosage", "imputed"):  # computed once for each draw
            other.__dict__.pop(name, None)
        other._number = number
        by_cell = self._by_cell(number)
        other._drawn = by_cell if self._draws is None else self._possible_draws(self._draws(number), by_cell)
        return other

    def _possible_draws(self, draws: BlockFunction, by_cell: BlockFunction) -> BlockFunction:
        """Draws of haplotypes, but in haploid cells where the two of a sample differ: there those of each cell."""
        haploid = self.genotypes.haploid
        if haploid is None:
            return draws

        def drawn(start: int, stop: int) -> np.ndarray:
            of_haplotypes = draws(start, stop)
            differs = (of_haplotypes == 1) & haploid.block(start, stop)
            return np.where(differs, by_cell(start, stop), of_haplotypes) if differs.any() else of_haplotypes

        return drawn

    def _by_cell(self, number: int) -> BlockFunction:
        """Draws of each cell by itself; the same for a cell whatever stretch of loci is asked for."""

        def drawn(start: int, stop: int) -> np.ndarray:
            gp = self.block(start, stop).gp.astype(np.float64)
            n_samples = len(gp)
            loci = range(start, stop) if self._numbers is None else self._numbers[start:stop].tolist()
            random = [np.random.default_rng([number, locus]).random(n_samples) for locus in loci]
            edges = gp.cumsum(2) / np.maximum(gp.sum(2, keepdims=True), 1)
            drawn = (edges <= np.stack(random, 1)[..., None]).sum(2)
            return np.minimum(drawn, gp.shape[2] - 1).astype(np.int8)

        return drawn

    def asked(self, start: int, stop: int) -> np.ndarray:
        """bool (samples, stop - start): cells that the model is asked for.

        These are the missing ones and those that the evidence leaves open, but not where a sample has no call at all,
        nor where it is absent (see `HaploidCells`).
        """
        evidence = self.genotypes.evidence
        asked = self.genotypes.calls[:, start:stop] == MISSING
        if evidence is not None:
            asked |= evidence.uncertain(slice(None), start, stop)
        if self.genotypes.haploid is not None:
            asked &= ~self.genotypes.haploid.absent_in(start, stop)
        return asked & self.has_calls[:, None]

    def block(self, start: int, stop: int) -> ImputedBlock:
        """Loci start..stop (exclusive). A sample without any call stays missing, with GP 0."""
        loci = self.genotypes.loci
        if loci.begins_record[start : stop + 1].all():
            return self._block(start, stop)
        first, last = loci.whole_records(start, stop)
        gp = self._gp(first, last)
        drawn = None if self._draws is None else self._drawn
        joiner = Joiner(self.genotypes, self._possible, self._choose, self._number, drawn)
        whole = joiner.joined(self._block(first, last, gp), gp, self.asked(first, last), first)
        return cut(whole, start - first, stop - first)

    def _block(self, start: int, stop: int, raw: np.ndarray | None = None) -> ImputedBlock:
        """A block whose loci are filled one by one. raw: their probabilities, where they are known already."""
        known_calls = self.genotypes.calls[:, start:stop]
        check_calls(known_calls, self.genotypes.ploidy, MISSING)  # none of another value passes for a call
        asked = self.asked(start, stop)
        n_classes = self.genotypes.n_classes
        gp = np.zeros((*known_calls.shape, n_classes), np.uint16)
        for genotype in range(n_classes):
            gp[..., genotype] = np.where(known_calls == genotype, 1000, 0)
        raw = self._gp(start, stop) if raw is None else raw
        filled = to_thousandths(self._possible(raw[asked], asked, start))  # (M, C)
        gp[asked] = filled
        before = known_calls[asked]
        calls = known_calls.copy()
        drawn = None if self._drawn is None else self._drawn(start, stop)[asked]
        calls[asked] = self._choose(filled, before, drawn)
        alt_first = None if self._phase is None else self._phase(start, stop)
        was_missing = known_calls == MISSING
        uncertain = refined = None
        if self.genotypes.evidence is not None:
            uncertain = asked & ~was_missing
            refined = uncertain & (calls != known_calls)
        return ImputedBlock(calls, gp, was_missing & (calls != MISSING), alt_first, uncertain, refined)

    def _choose(self, gp: np.ndarray, before: np.ndarray, drawn: np.ndarray | None, n_alt: int = 1) -> np.ndarray:
        """Calls (M,) from thousandths (M, C), the calls before, int (M,), and drawn ones or None.

        n_alt: with several ALT alleles, the C genotypes are those of the record, in VCF's order.
        """
        called = self._called(gp, n_alt) if drawn is None else drawn
        filled = np.where(gp.max(1) >= self._min_thousandths, called, MISSING)
        if not self.refines:
            return np.where(before == MISSING, filled, before)
        return np.where(before == MISSING, filled, called if drawn is not None else self._kept(gp, before, called))

    def _possible(self, gp: np.ndarray, asked: np.ndarray, start: int) -> np.ndarray:
        """Probabilities (M, C) without genotypes that the evidence excludes, as a half-call does: ./1 is never 0/0.

        Where the model says nothing of a visible call, the posterior is that of genotype frequencies.
        """
        evidence = self.genotypes.evidence
        if evidence is None:
            return gp
        samples, loci = np.nonzero(asked)
        likelihoods = evidence.of_cells(samples, loci + start)
        silent = gp.sum(1) < 0.5
        gp = posterior(gp, likelihoods > 0)
        if silent.any():
            gp[silent] = posterior(self._frequencies[loci[silent] + start], likelihoods[silent])
        return gp

    @cached_property
    def _frequencies(self) -> np.ndarray:
        """float32 (loci, classes): genotype frequencies of all samples under the evidence."""
        assert self.genotypes.evidence is not None  # else none asks for them
        return evidence_frequencies(self.genotypes.evidence)[-1]

    def _called(self, gp: np.ndarray, n_alt: int) -> np.ndarray:
        """The genotypes, int64 (M,), that thousandths (M, C) call."""
        if self.call == "map":
            return gp.argmax(1)
        return call_by_dosage(gp) if n_alt == 1 else nearest_to_doses(gp, n_alt, self.genotypes.ploidy)

    def _kept(self, gp: np.ndarray, calls: np.ndarray, called: np.ndarray) -> np.ndarray:
        """Visible calls, int8 (M,): as they are, or refined where another genotype is called, int64 (M,).

        One that does not reach the threshold is no reason to rewrite a call, nor is one that is as likely.
        """
        cells = np.arange(len(gp))
        as_likely = (self.call == "map") & (gp[cells, called] == gp[cells, np.maximum(calls, 0)])
        return np.where(~as_likely & (gp.max(1) >= self._min_thousandths), called, calls)

    def blocks(self) -> Iterator[tuple[slice, ImputedBlock]]:
        """All loci, BLOCK at a time."""
        for start in range(0, self.genotypes.n_loci, BLOCK):
            stop = min(start + BLOCK, self.genotypes.n_loci)
            yield slice(start, stop), self.block(start, stop)

    @property
    def n_missing(self) -> int:
        """Calls that are missing in the input."""
        return self.genotypes.n_missing

    @property
    def n_imputed(self) -> int:
        """Missing calls that are filled; all of them, but for `min_gp` and samples without any call."""
        begins = self.genotypes.loci.begins_record
        if self._min_thousandths or self.genotypes.haploid is not None or not begins.all():
            return sum(int(block.imputed[:, begins[loci]].sum()) for loci, block in self.blocks())
        return int(missing_per_sample(self.genotypes.calls)[self.has_calls].sum())

    @property
    def n_refined(self) -> int:
        """Visible calls that are rewritten; none unless that was asked for."""
        if not self.refines or self.genotypes.evidence is None:
            return 0
        begins, blocks = self.genotypes.loci.begins_record, self.blocks()
        return sum(int(block.refined[:, begins[loci]].sum()) for loci, block in blocks if block.refined is not None)

    def _gather(self, shape: tuple[int, ...], dtype: type, part: Callable[[ImputedBlock], np.ndarray]) -> np.ndarray:
        out: np.ndarray = np.empty((self.genotypes.n_samples, self.genotypes.n_loci, *shape), dtype)
        for loci, block in self.blocks():
            out[:, loci] = part(block)
        out.flags.writeable = False  # kept, and the same for whoever asks
        return out

    def __repr__(self) -> str:
        genotypes = self.genotypes
        return (
            f"<ImputedGenotypes: {genotypes.n_samples:,} samples x {genotypes.n_loci:,} loci, "
            f"{self.n_missing:,} calls were missing>"
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Samples, loci."""
        return self.genotypes.n_samples, self.genotypes.n_loci

    def __len__(self) -> int:
        return self.genotypes.n_samples

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """The dosages, for what takes an array of samples x loci, such as a PCA of scikit-learn."""
        return np.array(self.dosage, dtype, copy=True)

    @cached_property
    def calls(self) -> np.ndarray:
        """int8 (samples, loci): ALT-allele counts; -1 only where nothing could be said or min_gp was not met.

        Computed once and read-only, as `gp`, `dosage` and `imputed` are; `.copy()` can be written to.
        """
        return self._gather((), np.int8, lambda block: block.calls)

    @cached_property
    def gp(self) -> np.ndarray:
        """float32 (samples, loci, classes): genotype probabilities; a certain call has 1 at its genotype."""
        return self._gather((self.genotypes.n_classes,), np.float32, lambda block: block.gp / np.float32(1000))

    @cached_property
    def dosage(self) -> np.ndarray:
        """float32 (samples, loci): expected ALT-allele count, 0..1 if haploid; NaN for a sample without any call."""
        dose = np.arange(self.genotypes.n_classes, dtype=np.float32)

        def of(block: ImputedBlock) -> np.ndarray:
            return np.where(block.gp.any(2), (block.gp @ dose) / np.float32(1000), np.float32(np.nan))

        dosage = self._gather((), np.float32, of)
        if self.genotypes.haploid is not None:
            dosage[self.genotypes.haploid.block(0, None)] /= 2
        return dosage

    @cached_property
    def imputed(self) -> np.ndarray:
        """bool (samples, loci): calls that were missing and are filled."""
        return self._gather((), bool, lambda block: block.imputed)

    def iupac(self) -> np.ndarray:
        """IUPAC characters, 'U1' (samples, loci); N where missing or where the locus is no SNP."""
        loci = self.genotypes.loci
        return iupac(self.calls, loci.ref, loci.alt, self.genotypes.ploidy)

    def to_xarray(self) -> Any:
        """An xarray Dataset with the names of sgkit: filled calls, `call_genotype_probability` (variants, samples,
        genotypes), `call_dosage`, and `call_imputed` where a call was missing. Raises ConfigError without xarray."""
        cells = ("variants", "samples")
        more: dict[str, tuple[Any, np.ndarray]] = {
            "call_genotype_probability": ((*cells, "genotypes"), self.gp.transpose(1, 0, 2)),
            "call_dosage": (cells, self.dosage.T),
            "call_imputed": (cells, self.imputed.T),
        }
        return interchange.dataset_of(self.genotypes, self.calls, more)

    def to_anndata(self) -> Any:
        """AnnData of samples x loci: X is the dosage, the layers are `calls` and `imputed`. Raises ConfigError without
        anndata."""
        return interchange.anndata_of(self.genotypes, self.dosage, {"calls": self.calls, "imputed": self.imputed})

    def write(
        self,
        path: str | Path,
        output_type: str | None = None,
        *,
        force: bool = False,
        command: str = "",
        threads: int = 1,
        progress: ProgressOption = None,
        names: str = "relaxed",
        watch: Callable[[int, ImputedBlock], None] | None = None,
    ) -> WriteSummary | None:
        """Write to a file of any kind, by its ending: .vcf, .vcf.gz, .bcf, .bed, .str, .gen, .phy, .012, .tsv, .vcz.

        output_type: the kind's key, as `--output-type` takes it; by the ending when None. command: what made it, where
        the kind has room for that. names: of samples in PHYLIP, `relaxed`, or `strict` for 10 characters. watch: is
        given the first locus of every block, and the block, as it is written. The counts are those of a VCF, None of
        another kind. Raises OutputError where `path` cannot be written, exists without
        `force`, or is of a kind that cannot hold these genotypes.
        """
        from imputevae_cli import __version__

        source = self.genotypes.source
        kind = format_of(path, output_type)
        n_passed = sum(source.passed_through.values()) if source else 0
        if n_passed and not kind.is_vcf:
            logger.info("%s: leaves out what is not modelled, %s", path, counted(n_passed, "record"))
        kind.check_place(path, inputs=[source.given or source.path] if source else [], force=force)
        how = Writing(kind.key, command, __version__, threads, progress, names, self.refines)
        kind.writer().check(path, self.genotypes, how)
        watched = Watched(self, watch)
        summary = kind.writer().write(path, watched, how)
        return None if summary is None else replace(summary, bias=watched.bias)

    def write_vcf(self, path: str | Path, output_type: str | None = None, **options: Any) -> WriteSummary:
        """Write the input's records with missing calls filled; `-` is standard output.

        output_type: v, z or b; by the ending when None. options: see `write`. Genotypes that were not read from a file
        get records of their own.
        """
        kind = format_of(path, output_type)
        if not kind.is_vcf:
            raise ConfigError(f"{path}: is no VCF; name a .vcf, .vcf.gz or .bcf, or use write()")
        summary = self.write(path, kind.key, **options)
        assert summary is not None  # of a VCF
        return summary

    def write_phylip(self, path: str | Path, *, names: str = "relaxed", force: bool = False) -> int:
        """Write IUPAC characters of the SNPs; returns their number. names: `relaxed`, or `strict` for 10 characters."""
        format_of(path, "p").check_place(path, force=force)
        return write_phylip(path, self, names=names)
