"""Whole genotypes drawn along the chromosomes: each haplotype of a sample follows one path through those of others.

Given the haplotypes that the chains left, a sample's first haplotype is drawn anew given its second, and the second
given the new first: backward weights of the copying model, then the haplotype that is copied from left to right, and at
each locus an allele, given what is copied there and the cell's own likelihoods. Windows have donors of their own; the
haplotype that is copied at the end of one is a donor of the next, so that paths go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.evidence import FLAT, Evidence
from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.decoders.copying import select_haplotypes
from imputevae_cli.decoders.copying import windows as copying_windows
from imputevae_cli.decoders.copying.inbreeding import ONE_PATH
from imputevae_cli.decoders.copying.kernel_numerics import TINY, F, fast, mix, mix_each, sloped, uniform
from imputevae_cli.decoders.copying.model import plain_inputs
from imputevae_cli.decoders.copying.posterior import HaplotypePosterior
from imputevae_cli.decoders.copying.rules import CopyingRules
from imputevae_cli.decoders.copying.schedule import DOSE_UNIT
from imputevae_cli.decoders.copying.select_haplotypes import Candidates, Packed
from imputevae_cli.decoders.copying.window_frame import Frame

NOBODY = -1


@dataclass(frozen=True)
class HaplotypeDraws:
    """Draws of the genotypes of the cohort that the posterior is of."""

    posterior: HaplotypePosterior
    cohort: Cohort
    rules: CopyingRules

    @property
    def evidence(self) -> Evidence | None:
        """Of the cohort's cells, or None where calls are certain."""
        return self.cohort.evidence

    @cached_property
    def _frame(self) -> Frame:
        return plain_inputs(self.cohort).frame_by(self.posterior.schedule, self.rules)

    def _is_one(self, n: int, loci: np.ndarray | slice) -> np.ndarray:
        """bool, of the loci: where a sample is homozygous by descent; all False where nobody is inbred."""
        by_descent = self._frame.by_descent
        return by_descent[n, loci] >= ONE_PATH if len(by_descent) else np.zeros(self.cohort.n_loci, bool)[loci]

    def draw(self, number: int, start: int, stop: int) -> np.ndarray:
        """int8 (stop - start, L): draw `number` of the genotypes of samples start..stop, joint along each chromosome.

        The same number gives the same draw, whatever samples are asked for. Where a sample is homozygous by descent,
        so are its draws.
        """
        ploidy, n_loci = self.posterior.ploidy, len(self.posterior.switch)
        out = np.empty((stop - start, n_loci), np.int8)
        for n in range(start, stop):
            key, alleles = _key(np.uint64(number), n), np.empty((ploidy, n_loci), np.uint8)
            copied = np.full(ploidy, NOBODY)
            for w in range(len(self._windows)):
                copied = self._draw_core(w, n, _key(key, w), copied, alleles)
            out[n - start] = alleles.sum(0)
        return out

    def _draw_core(self, w: int, n: int, key: np.uint64, copied: np.ndarray, alleles: np.ndarray) -> np.ndarray:
        """Draw one sample's alleles, uint8 (ploidy, L), in the core of a window.

        copied: int64 (ploidy,), the haplotypes that are copied just before it, or NOBODY; returns those at its end.
        """
        posterior, (core, core_stop, stop) = self.posterior, self._windows[w].tolist()
        part, ploidy = slice(core, stop), posterior.ploidy
        likelihoods, pair = self._likelihoods(n, part), self._haplotypes[n * ploidy : (n + 1) * ploidy, part] / F(255)
        two = self._frame.paths[w, n] == 2
        copied = copied.copy()
        for h in range(2 if two else 1):
            donors = self._donors[w, n].copy()
            if copied[h] != NOBODY and copied[h] not in donors:
                donors[-1] = copied[h]  # in place of the least similar
            before = np.flatnonzero(donors == copied[h])
            own = facing(likelihoods, pair[1 - h]) if two else np.ascontiguousarray(likelihoods[:, [0, -1]])
            theta, drawn = np.ascontiguousarray(self._haplotypes[donors, part].T), alleles[h, core:core_stop]
            last = draw_path(
                own, theta, posterior.switch[part], posterior.schedule.error,
                before[0] if len(before) else NOBODY, _key(key, h), drawn,
            )  # fmt: skip
            copied[h] = donors[last]
            pair[h, : core_stop - core] = drawn
        if not two:
            alleles[:, core:core_stop], copied[:] = alleles[0, core:core_stop], copied[0]
        one = core + np.flatnonzero(self._is_one(n, slice(core, core_stop)))
        alleles[-1, one] = alleles[0, one]
        return copied

    def _likelihoods(self, n: int, part: slice) -> np.ndarray:
        """Of one sample's genotypes at some loci, float32 (t, C)."""
        if self.evidence is not None:
            return self.evidence.block(slice(n, n + 1), part.start, part.stop)[0]
        calls = self.posterior.calls[n, part]
        return np.where(calls[:, None] == MISSING, F(1), np.eye(self.posterior.ploidy + 1, dtype=np.float32)[calls])

    @cached_property
    def _windows(self) -> np.ndarray:
        """int64 (W, 3): the first locus of each core, one past its last, and the end of what is read to the right."""
        return self._frame.windows[:, 1:]

    @cached_property
    def _haplotypes(self) -> np.ndarray:
        """uint8 (N * ploidy, L): of all samples; between 0 and 255, the chance of ALT, where nothing is known."""
        posterior, ploidy = self.posterior, self.posterior.ploidy
        haplotypes, hidden = posterior.haplotypes, posterior.hidden
        first = 0
        for n, calls in enumerate(posterior.calls):
            shown = calls.copy()
            shown[hidden.loci[hidden.samples == n]] = MISSING
            unseen = np.flatnonzero(shown == MISSING)
            doses = posterior.doses[first : first + len(unseen)] / F(DOSE_UNIT)
            first += len(unseen)
            nothing = calls[unseen] == MISSING
            if self.evidence is not None:
                nothing &= self.evidence.codes[n, unseen] == FLAT
            loci, doses, pair = unseen[nothing], doses[nothing], haplotypes[n * ploidy : (n + 1) * ploidy]
            mean = (1 - doses[:, 0] + doses[:, 1]) / 2
            one, apart = self._is_one(n, loci) | (ploidy == 1), allele_chances(doses, pair[0, loci] > pair[-1, loci])
            chances = np.where(one, mean if ploidy == 2 else doses[:, 1], apart)  # (2, M)
            pair[:, loci] = np.rint(255 * chances[:ploidy])
        return haplotypes

    @cached_property
    def _donors(self) -> np.ndarray:
        """int32 (W, N, K): the haplotypes that each sample copies in each window."""
        posterior, schedule, rules = self.posterior, self.posterior.schedule, self.rules.choice
        n_samples, n_loci = posterior.calls.shape
        paths = self._frame.paths
        fewest = int(paths.sum(1, dtype=np.int64).min()) - posterior.ploidy
        donors = np.zeros((len(self._windows), n_samples, max(1, min(schedule.donors, fewest))), np.int32)
        for w, window in enumerate(self._frame.windows if n_samples > 1 else []):
            found = Candidates.of(paths[w], posterior.ploidy, None)
            in_order = len(found.rows) > rules.most_compared
            spans = copying_windows.stretches(window, n_loci, schedule.pieces, schedule.scales)
            packed = Packed.of(found, self._haplotypes, self._haplotypes, spans, in_order)
            keys = mix_each(np.uint64(w), np.arange(n_samples, dtype=np.uint64))
            select_haplotypes.choose(packed, np.array([0, n_samples]), keys, donors[w])
        return donors


def _key(key: np.uint64, number: int) -> np.uint64:
    """The key of one of the draws that go by another key."""
    return np.uint64(mix(key, np.uint64(number)))


def allele_chances(doses: np.ndarray, alt_first: np.ndarray) -> np.ndarray:
    """float32 (2, M): the chances of ALT on both haplotypes, from those of 0 and of 2 ALT alleles, float32 (M, 2).

    p + q and p q are known, so p and q are roots of a quadratic. alt_first: bool (M,), whether the greater is first.
    """
    total, product = 1 - doses[:, 0] + doses[:, 1], doses[:, 1]
    apart = np.sqrt(np.maximum(total**2 / 4 - product, 0))
    high, low = np.clip(total / 2 + apart, 0, 1), np.clip(total / 2 - apart, 0, 1)
    return np.where(alt_first, (high, low), (low, high)).astype(np.float32)


def facing(likelihoods: np.ndarray, other: np.ndarray) -> np.ndarray:
    """float32 (t, 2): likelihoods of a haplotype's alleles, where the other's is ALT by the chances `other` (t,);
    likelihoods: float32 (t, 3), of genotypes."""
    other = other[:, None]
    return ((1 - other) * likelihoods[:, :2] + other * likelihoods[:, 1:]).astype(np.float32)


@fast
def draw_path(
    own: np.ndarray, theta: np.ndarray, switch: np.ndarray, error: float, before: int, key: np.uint64, out: np.ndarray
) -> int:
    """out uint8 (c,) <- a haplotype's alleles at the first c loci; returns which donor is copied at the last of them.

    own: float32 (T, 2), the likelihoods of its alleles. theta: uint8 (T, K), the donors' chances of ALT. switch:
    float32 (T,), before each locus. before: the donor that is copied before the first, or NOBODY.
    """
    n_loci, n_donors = theta.shape
    span, eps = F((1.0 - 2.0 * error) / 255.0), F(error)
    even = F(1) / F(n_donors)
    e = np.empty((n_loci, n_donors), np.float32)  # emissions, times what the loci to the right say
    b = np.ones(n_donors, np.float32)
    for t in range(n_loci - 1, -1, -1):
        base, slope = sloped(own[t, 0], own[t, 1], eps, span)
        whole = F(0)
        for k in range(n_donors):
            e[t, k] = (base + slope * F(theta[t, k])) * b[k]
            whole += e[t, k]
        keep = (F(1) - switch[t]) / max(whole * even, TINY)
        for k in range(n_donors):
            b[k] = keep * e[t, k] + switch[t]
    copied = before
    for t in range(out.shape[0]):
        stay = F(1) - switch[t] if copied >= 0 else F(0)
        whole = F(0)
        for k in range(n_donors):
            whole += e[t, k]
        held = stay * e[t, max(copied, 0)]
        whole = (F(1) - stay) * even * whole + held
        u = uniform(key, 2 * t) * whole - held
        if u >= 0 or copied < 0:
            copied = n_donors - 1
            for k in range(n_donors):
                u -= (F(1) - stay) * even * e[t, k]
                if u < 0:
                    copied = k
                    break
        alt = eps + span * F(theta[t, copied])
        of_alt, of_ref = alt * own[t, 1], (F(1) - alt) * own[t, 0]
        out[t] = np.uint8(uniform(key, 2 * t + 1) * (of_alt + of_ref) < of_alt)
    return copied
