"""What the neighbours know: their calls, how similar loci and samples are, and how common each genotype is.

`Panel` holds the samples that vote, `Queries` the samples whose missing calls are asked for; the two may be
the same samples, and then nobody votes for himself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from imputevae_cli.config import KnnSettings
from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.evidence_frequencies import evidence_frequencies
from imputevae_cli.data.frequencies import alt_frequencies_of_counts, hardy_weinberg
from imputevae_cli.data.genotypes import MISSING, genotype_counts
from imputevae_cli.decoders.knn.attention import FAR, Context
from imputevae_cli.decoders.knn.genotypes import Genotypes, uncertain_genotypes
from imputevae_cli.decoders.knn.kernel_layout import Samples
from imputevae_cli.decoders.knn.rules import PanelRules
from imputevae_cli.decoders.knn.sample_structure import Structure, overall_similarity, relationship

N_COVARIATES = 4
_BLOCK = 1024  # loci at a time, where copies of the calls are needed


@dataclass
class Queries:
    """Samples whose calls are asked for.

    shown: minor-allele counts as the queries show them.
    own: int64 (Q,), each query's own index among the neighbours, -1 where it is not among them.
    populations: int64 (Q,), -1 unknown; None without a popmap.
    pairs: float32 (Q, S, N), overall similarities to the neighbours, and with a popmap whether the population is the
    same. features: float32 (Q, D), regressors of `Structure`. scale: float32 (2, similarities), the mean and the spread
    that were taken out of the similarities.
    """

    shown: Genotypes
    own: Tensor
    populations: Tensor | None
    pairs: Tensor
    features: Tensor
    scale: Tensor


class Panel:
    """The samples that vote, and the genotype frequencies of all samples.

    settings: `window` loci on either side count by distance, and the `linked` loci most correlated with the target
    join its context; of more samples than `max_donors`, a random choice votes (N of them). rng: draws that choice.
    hidden: int64 (cells,), sample * L + locus, calls that are to be guessed: the samples still vote with them, but
    queries, correlations of loci and regressions must not see them, or they leak.

    everyone, shown: counts of each locus's minor allele of all samples, and the same with the hidden calls missing; one
    object where none is hidden. votes: of the neighbours. evidence: of all samples, frequencies_of_all: float32
    (populations + 1, L, C), of genotypes under it; None where calls are certain.
    """

    def __init__(
        self,
        cohort: Cohort,
        settings: KnnSettings,
        rng: np.random.Generator,
        hidden: np.ndarray | None = None,
        rules: PanelRules | None = None,
    ):
        ploidy, populations = cohort.ploidy, cohort.known_populations
        self.ploidy, self.n_classes, self.rules = ploidy, ploidy + 1, rules or PanelRules()
        self.n_samples, self.n_loci = cohort.calls.shape
        self.populations = None
        if populations is not None and np.max(populations) >= 0:
            self.populations = torch.from_numpy(np.asarray(populations, np.int64))
        self.chrom_codes = torch.from_numpy(np.asarray(cohort.chrom_codes, np.int64))
        longest = int(torch.bincount(self.chrom_codes - self.chrom_codes[0]).max())
        self.window, self.linked = min(settings.window, max(longest - 1, 1)), min(settings.linked, self.n_loci - 1)
        self._count(cohort)
        self.neighbours = _some(self.n_samples, settings.max_donors, rng)  # (N,)
        all_vote = self.n_neighbours == self.n_samples
        self.votes = self.everyone if all_vote else self.everyone.of_samples(self.neighbours)
        self.shown, seen = self.everyone, self.counts.clone()
        if hidden is not None:
            samples, loci = (torch.from_numpy(part) for part in np.divmod(hidden, self.n_loci))
            seen.index_put_((loci,), -self.everyone.of_cells(loci, samples), accumulate=True)
            self.shown = self.everyone.without(loci, samples)
        self.mean = seen @ torch.arange(self.n_classes).float() / seen.sum(1).clamp_min(1)  # (L,) minor alleles a call
        self.structure = Structure(self)
        self._standardise_links(rng)

    @property
    def n_neighbours(self) -> int:
        return len(self.neighbours)

    def _count(self, cohort: Cohort) -> None:
        """Orient the genotypes of all samples, and count them: counts (L, C), population_counts (populations, L, C)."""
        self.evidence, self.frequencies_of_all = cohort.evidence, None
        if cohort.evidence is None:
            counts = genotype_counts(cohort.calls, self.n_classes)  # (C, L)
            alt = alt_frequencies_of_counts(counts, self.ploidy)
        else:
            groups = (cohort.populations, cohort.n_populations)
            self.frequencies_of_all = evidence_frequencies(cohort.evidence, *groups)
            alt = self.frequencies_of_all[-1] @ np.arange(self.n_classes) / self.ploidy
        self.flipped = torch.from_numpy(alt > 0.5)  # (L,) loci whose ALT allele is the commoner
        self.everyone = self.genotypes_of(cohort)
        if cohort.evidence is None:
            self.counts = self._oriented_counts(counts.T)
        else:
            self.counts = self.everyone.counts()
        self.population_counts = self._count_populations(cohort.calls)

    def genotypes_of(self, cohort: Cohort) -> Genotypes:
        """Counts of each locus's minor allele of samples at the panel's loci; uncertain where both have evidence."""
        if cohort.evidence is None or self.frequencies_of_all is None:
            return Genotypes(self._oriented(cohort.calls), self.n_classes)
        last = len(self.frequencies_of_all) - 1
        codes = np.full(len(cohort.calls), last) if cohort.populations is None else np.minimum(cohort.populations, last)
        return uncertain_genotypes(cohort.evidence, self.frequencies_of_all, codes, self.flipped)

    def likelihoods(self, loci: Tensor, samples: Tensor) -> Tensor:
        """Of the genotypes of single cells under their own evidence, float32 (..., C); int64 of one shape each."""
        assert self.evidence is not None
        found = torch.from_numpy(self.evidence.of_cells(samples.numpy(), loci.numpy()))
        return torch.where(self.flipped[loci][..., None], found.flip(-1), found)

    def _oriented(self, calls: np.ndarray) -> Tensor:
        """ALT-allele counts int8 (n, L) -> counts of each locus's minor allele among the samples, int8 (L, n)."""
        out = torch.empty(calls.shape[1], len(calls), dtype=torch.int8)
        for a in range(0, calls.shape[1], _BLOCK):
            part = slice(a, a + _BLOCK)
            block = torch.from_numpy(np.ascontiguousarray(calls[:, part])).T
            out[part] = torch.where(self.flipped[part, None] & (block != MISSING), self.ploidy - block, block)
        return out

    def members(self, latent: Tensor | None) -> Queries:
        """The panel's own samples as queries, hidden calls left out. latent: float32 (samples, samples) or None."""
        return self._queries(self.shown, torch.arange(self.n_samples), self.populations, latent, None)

    def new_samples(
        self, calls: Genotypes, populations: np.ndarray | None, latent: Tensor | None, scale: Tensor
    ) -> Queries:
        """New samples as queries: calls by `genotypes_of`; populations int (Q,) or None; `scale` of the members."""
        own = torch.full((calls.n_samples,), -1)
        codes = None
        if self.populations is not None:
            codes = own if populations is None else torch.from_numpy(np.asarray(populations, np.int64))
        return self._queries(calls, own, codes, latent, scale)

    def _queries(
        self, calls: Genotypes, own: Tensor, codes: Tensor | None, latent: Tensor | None, scale: Tensor | None
    ) -> Queries:
        latent = None if latent is None else latent[:, self.neighbours]
        related = relationship(self, calls).masked_fill_(self.neighbours == own[:, None], 0)
        features = self.structure.features(related, codes)
        pairs, scale = overall_similarity(self, related, calls, own, latent, scale, more=codes is not None)
        if codes is not None:
            assert self.populations is not None
            pairs[:, -1] = (codes[:, None] == self.populations[self.neighbours]) & (codes >= 0)[:, None]
        return Queries(calls, own, codes, pairs, features, scale)

    def samples(self, queries: Queries) -> Samples:
        """Queries and neighbours as the votes' kernel takes them."""
        shown, votes = queries.shown, self.votes
        none = torch.empty(0, self.n_classes, 0, dtype=torch.uint8)
        soft = [none if side.soft is None else side.soft for side in (shown, votes)]
        parts = (shown.calls, votes.calls, *soft, queries.pairs, self._place(queries.own))
        return Samples(*(np.ascontiguousarray(part.numpy()) for part in parts))

    def frequencies(
        self, queries: Queries, loci: Tensor, asked: Tensor, shows_own: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Genotype frequencies (B, Q, F, C) and covariates (B, Q, V) of queries `asked` (B, Q) at `loci` (B,).

        The frequencies: of the query's population and of all samples, smoothed, its own call left out; and those
        that its ancestry predicts. shows_own: whether queries may show the very calls that are asked for;
        these then stay in the frequencies of all samples, as in any estimate: a locus may vary by one call alone.
        """
        own = queries.own[asked]
        left_out = self.everyone.of_cells(loci[:, None].expand_as(own), own.clamp_min(0))  # (B, Q, C)
        left_out = torch.where((own >= 0)[..., None], left_out, 0.0)
        all_counts = self.counts[loci][:, None] - (0.0 if shows_own else left_out)
        n_all = all_counts.sum(-1, keepdim=True)
        alleles = torch.arange(self.n_classes).float()
        rules, minor = self.rules, (all_counts @ alleles)[..., None]
        minor = (minor + rules.minor_alleles * self.ploidy) / (self.ploidy * (n_all + rules.samples))
        overall = (all_counts + self._expected(minor)) / (n_all + 1)
        population, n_population = overall, torch.zeros_like(n_all)
        if queries.populations is not None:
            assert self.population_counts is not None
            code = queries.populations[asked]
            of_population = self.population_counts[code.clamp_min(0), loci[:, None]] - left_out
            of_population = torch.where((code >= 0)[..., None], of_population, 0.0)
            n_population = of_population.sum(-1, keepdim=True)
            population = (of_population + rules.shrinkage * overall) / (n_population + rules.shrinkage)
        missing = (1 - self.counts[loci].sum(1) / self.n_samples)[:, None, None].expand_as(n_all)
        own_part = self._own_part(queries, loci, asked) if shows_own else None
        ancestral = self.structure.allele_frequency(queries.features[asked], loci, self.ploidy, own_part)[..., None]
        by_ancestry = self._expected(ancestral)  # (B, Q, ridges, C)
        covariates = [missing, torch.log(minor + 0.01) / 3, torch.log1p(n_population) / 3, torch.log1p(n_all) / 5]
        return torch.cat([population[:, :, None], overall[:, :, None], by_ancestry], 2), torch.cat(covariates, -1)

    def _own_part(self, queries: Queries, loci: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
        """What the call of a query, (B, 1), had to do with its own ancestry; see `Structure.allele_frequency`."""
        own = queries.own[asked]  # (B, 1)
        dosage = self.shown.of_cells(loci[:, None], own.clamp_min(0)) @ torch.arange(self.n_classes).float()
        shown = self.shown.calls[loci[:, None], own.clamp_min(0)] != MISSING
        counts = (self._place(own) >= 0) & shown
        leverage = self.structure.leverage(self, queries.features[asked[:, 0]], loci)[:, None]  # (B, 1, ridges)
        standard = (dosage - self.mean[loci, None]) / self.structure.scale[loci, None]
        return torch.where(counts[..., None], leverage, 0.0), torch.where(counts, standard, 0.0)

    def _place(self, samples: Tensor) -> Tensor:
        """Which neighbours these samples are, int64 of the same shape; -1 for those that are none, as new ones are."""
        place = torch.searchsorted(self.neighbours, samples).clamp_max(self.n_neighbours - 1)
        return torch.where(self.neighbours[place] == samples, place, -1)

    def context(self, loci: Tensor) -> Context:
        """The context of target loci, int64 (B,)."""
        reach = torch.arange(1, self.window + 1)
        offsets = torch.cat([-reach.flip(0), reach])
        near = loci[:, None] + offsets
        inside = (near >= 0) & (near < self.n_loci)
        near = near.clamp(0, self.n_loci - 1)
        inside &= self.chrom_codes[near] == self.chrom_codes[loci][:, None]
        distance = torch.where(inside, offsets.abs().float(), FAR)
        if not self.linked:
            return Context(near, distance, torch.empty(len(loci), 0))
        linked, r2 = self.linked_loci(loci)
        log_r2 = torch.where(r2 > 0, torch.log(r2.clamp_min(1e-6)), -FAR)
        return Context(torch.cat([near, linked], 1), distance, log_r2)

    def linked_loci(self, loci: Tensor) -> tuple[Tensor, Tensor]:
        """The `linked` loci most correlated with each of `loci`, int64 (B, k), and r2, float32 (B, k)."""
        r = self._links(loci).T @ self.candidate_links  # (B, candidates)
        place = torch.searchsorted(self.link_candidates, loci).clamp_max(len(self.link_candidates) - 1)
        itself = torch.nonzero(self.link_candidates[place] == loci)[:, 0]
        r[itself, place[itself]] = 0
        r2, place = r.square_().topk(min(self.linked, r.shape[1]), 1)
        return self.link_candidates[place], r2

    def _standardise_links(self, rng: np.random.Generator) -> None:
        self.link_samples = _some(self.n_samples, self.rules.link_samples, rng)
        self.link_candidates = _some(self.n_loci, self.rules.link_candidates, rng)
        self.candidate_links = torch.empty(len(self.link_samples), len(self.link_candidates))
        for a in range(0, len(self.link_candidates), _BLOCK):
            part = slice(a, a + _BLOCK)
            self.candidate_links[:, part] = self._links(self.link_candidates[part])

    def _links(self, loci: Tensor) -> Tensor:
        """Columns whose dot product is the correlation of two loci, float32 (samples, B), missing calls at the mean."""
        calls, known = self.shown.dosage(loci, self.link_samples)
        x = torch.where(known, calls, 0).float()
        x = torch.where(known, x - x.sum(0) / known.sum(0).clamp_min(1), 0.0)
        return x / (x.square().sum(0) + self.rules.link_pseudo).sqrt()

    def _expected(self, minor: Tensor) -> Tensor:
        """Genotype probabilities (..., C) under random mating, of an allele frequency (..., 1)."""
        return torch.cat(hardy_weinberg(minor, self.ploidy), -1)

    def _oriented_counts(self, counts: np.ndarray) -> Tensor:
        """Genotype counts of ALT alleles, int64 (L, C), as counts of minor alleles, float32."""
        of_alt = torch.from_numpy(counts).float()
        return torch.where(self.flipped[:, None], of_alt.flip(1), of_alt)

    def _count_populations(self, calls: np.ndarray) -> Tensor | None:
        """Genotype counts, float32 (populations, L, C)."""
        if self.populations is None:
            return None
        codes = self.populations.numpy()
        if self.evidence is not None:
            return torch.stack([self.everyone.counts(codes == code) for code in range(codes.max() + 1)])
        counts = (genotype_counts(calls, self.n_classes, codes == code).T for code in range(codes.max() + 1))
        return torch.stack([self._oriented_counts(count) for count in counts])


def _some(total: int, at_most: int, rng: np.random.Generator) -> Tensor:
    """Indices 0..total-1, or a rising random choice of `at_most` of them, int64."""
    if total <= at_most:
        return torch.arange(total)
    return torch.from_numpy(np.sort(rng.choice(total, at_most, replace=False)))
