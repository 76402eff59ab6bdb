"""Fills haplotypes that are known at some loci of a reference panel at all of them (Li and Stephens 2003)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from imputevae_cli.panels import kernel_haplotypes as kernel
from imputevae_cli.panels.window import PanelWindow

LOCI_AT_ONCE = 2048
"""Loci of the panel that are turned together, to be read locus by locus."""


@dataclass(frozen=True)
class Gaps:
    """The wanted loci of a window in the gaps between its typed ones, and which panel haplotypes are alike in each.

    Gap t lies before typed locus t and holds it as its last, gap T behind the last. first: int64 (T + 2,), the first of
    the wanted loci in each, counted from 0. groups: uint16 (T + 1, H), uint32 where H asks for it, each haplotype's
    group, below n_groups, int64 (T + 1,). carriers: int32, from places[l] on, int64 (W + 1,), the groups that carry ALT
    at a wanted locus, or REF where is_alt, bool (W,), is False: of the two, what fewer groups carry.
    """

    first: np.ndarray
    groups: np.ndarray
    n_groups: np.ndarray
    carriers: np.ndarray
    places: np.ndarray
    is_alt: np.ndarray

    @classmethod
    def of(cls, window: PanelWindow) -> Gaps:
        """Those of the wanted loci of a window."""
        haplotypes, start, stop = window.haplotypes, window.wanted.start, window.wanted.stop
        edges = np.r_[0, window.typed + 1, haplotypes.shape[1]]
        first = np.clip(edges, start, stop) - start
        groups = np.zeros((len(first) - 1, len(haplotypes)), np.min_scalar_type(max(len(haplotypes), 256)))
        n_groups = np.ones(len(groups), np.int64)
        carriers, is_alt = [np.zeros(0, np.int64)], []
        for gap, (low, high) in enumerate(itertools.pairwise(first.tolist())):
            alleles = np.ascontiguousarray(haplotypes[:, start + low : start + high].T)
            n_groups[gap] = kernel.group_gap(alleles, groups[gap])
            of_group = np.zeros((high - low, n_groups[gap]), bool)
            of_group[:, groups[gap]] = alleles
            few = 2 * of_group.sum(1) <= n_groups[gap]
            is_alt.append(few)
            carriers += [np.flatnonzero(row) for row in of_group == few[:, None]]
        places = np.cumsum([len(some) for some in carriers])
        return cls(first, groups, n_groups, np.concatenate(carriers).astype(np.int32), places, np.concatenate(is_alt))

    @property
    def unseen(self) -> np.ndarray:
        """float32 (W,): at loci where the panel has one allele alone the chance of ALT, who may be unseen among so few
        haplotypes (the rule of succession); NaN elsewhere."""
        n = self.groups.shape[1]
        return np.where(np.diff(self.places) > 0, np.nan, np.where(self.is_alt, 1, n + 1) / (n + 2)).astype(np.float32)


@dataclass(frozen=True)
class States:
    """The panel haplotypes that others are filled from.

    panel: uint8 (T, K), 0/1, at the typed loci. order, edges: in every gap, see `kernel_haplotypes.sort_states`.
    """

    panel: np.ndarray
    order: np.ndarray
    edges: np.ndarray

    @classmethod
    def of(cls, window: PanelWindow, gaps: Gaps, rows: np.ndarray) -> States:
        """rows: int (K,), of the window's haplotypes."""
        panel = np.ascontiguousarray(window.haplotypes[np.ix_(rows, window.typed)].T)
        return cls(panel, *kernel.sort_states(np.take(gaps.groups, rows, axis=1), int(gaps.n_groups.max())))


@dataclass(frozen=True)
class HaplotypeFiller:
    """Fills haplotypes of one window.

    steps: float64 (T,), distance from each typed locus to the one before. before, behind: float64 (W,), from each
    wanted locus to the typed one before it, and to that behind it or at it. rate: switches per unit of distance. error:
    the chance that a copied allele differs.
    """

    gaps: Gaps
    steps: np.ndarray
    before: np.ndarray
    behind: np.ndarray
    rate: float
    error: float

    @classmethod
    def of(cls, window: PanelWindow, gaps: Gaps, rate: float, error: float) -> HaplotypeFiller:
        """The filler of a window."""
        at, typed = window.positions[window.wanted].astype(np.float64), window.typed_positions.astype(np.float64)
        gap = np.repeat(np.arange(len(typed) + 1), np.diff(gaps.first))
        before = at - typed[np.maximum(gap - 1, 0)]
        behind = typed[np.minimum(gap, len(typed) - 1)] - at
        return cls(gaps, np.diff(typed, prepend=typed[0]), before, behind, rate, error)

    def fill(self, alt: np.ndarray, states: States, prior: np.ndarray | None = None) -> np.ndarray:
        """The chance of ALT at the wanted loci, float32 (M, W), of M haplotypes.

        At a typed locus it is what the others say and its own data. alt: float32 (M, T), the chance of ALT by the
        haplotype's own data, .5 where nothing is known. prior: float32 (K,), of sum 1, how readily each state is
        copied; None: all alike.
        """
        n_states, gaps = states.panel.shape[1], self.gaps
        prior = np.full(n_states, 1 / n_states, np.float32) if prior is None else prior
        doses = np.empty((len(alt), len(self.before)), np.float32)
        kernel.fill(
            alt, states.panel, prior, self._switch(self.steps), self.error, states.order, states.edges, gaps.n_groups,
            gaps.first, gaps.carriers, gaps.places, gaps.is_alt, self._switch(self.before), self._switch(self.behind),
            doses,
        )  # fmt: skip
        return doses

    def _switch(self, distances: np.ndarray) -> np.ndarray:
        """Of being, at a distance, no longer the copy of the same haplotype unless drawn again."""
        return (-np.expm1(-self.rate * np.maximum(distances, 0))).astype(np.float32)
