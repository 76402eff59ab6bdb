"""The schedule that the chains of the copying decoder follow."""

from __future__ import annotations

from dataclasses import dataclass, replace

DOSE_UNIT = 65535
"""A chance of 1, in two bytes."""


@dataclass(frozen=True)
class Schedule:
    """What the chains do. Lengths are in loci, rates in switches per mean distance between neighbouring loci.

    iterations, burn_in: of each chain; genotype probabilities are averaged over the iterations after burn_in.
    donors: haplotypes that a sample copies from in a window of `core` loci with `halo` on either side.
    pieces, scales: the stretches over which donors are compared (`windows.stretches`).
    error: the chance that a copied allele differs. start_rate: the switch rate at the start.
    cooling: the factor by which an upper bound on the rate falls with each iteration (None: no bound);
    rate_floor: the least rate. refresh: iterations from one choice of donors, and one update of rates, to the next.
    smoothing: how many haplotypes' worth of the smooth rate is mixed into each locus's own.
    relatedness: whether similar samples are copied more often.
    global_share: the copying prior of the cohort's `global_rows`, where it has some.
    """

    iterations: int = 13
    burn_in: int = 7
    chains: int = 1
    donors: int = 48
    core: int = 512
    halo: int = 96
    pieces: int = 4
    scales: tuple[int, ...] = (300, 600)
    error: float = 5e-4
    start_rate: float = 0.1
    cooling: float | None = None
    rate_floor: float = 0.0
    refresh: int = 2
    smoothing: float = 200.0
    relatedness: bool = False
    global_share: float = 0.0

    def with_core(self, core: int) -> Schedule:
        """The same with windows of `core` loci; halo, and stretches over which donors are compared, in proportion."""
        factor = core / self.core
        scales = tuple(round(scale * factor) for scale in self.scales)
        return replace(self, core=core, halo=round(self.halo * factor), scales=scales)
