"""How well targets are filled from a panel: some typed loci are hidden, filled from the others, and compared."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.errors import InputError
from imputevae_cli.io.vcf_added import estimated_r2
from imputevae_cli.panels.filled_loci import doses_of_haploids, gp_of_haploids
from imputevae_cli.panels.frequency_bins import MONOMORPHIC, bin_names, bins_of
from imputevae_cli.panels.imputation import PanelImputation, TargetChromosome
from imputevae_cli.scoring.metrics import concordance, dosage, dosage_r2, log_loss, non_reference_discordance

R2_EDGES = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0)
"""Of bins of DR2. Users keep loci over .3 to .8, so there the bins are narrow."""
FIGURES = ("concordance", "nrd", "r2", "log_loss")


@dataclass(frozen=True)
class HeldOut:
    """Hidden loci, and what was filled there.

    truth: int8 (N, W), known calls, -1 missing. gp: float32 (N, W, 3). dr2: float64 (W,). frequency: float64 (W,), of
    ALT in the panel.
    """

    truth: np.ndarray
    gp: np.ndarray
    dr2: np.ndarray
    frequency: np.ndarray

    @property
    def found_r2(self) -> np.ndarray:
        """float64 (W,): squared correlation of dosage and truth at each locus; NaN where the truth does not vary."""
        out = np.full(len(self.dr2), np.nan)
        for locus in range(len(out)):
            known = self.truth[:, locus] != MISSING
            truth = self.truth[known, locus]
            if len(truth) > 2 and truth.min() < truth.max():
                out[locus] = dosage_r2(truth, dosage(self.gp[known, locus]))
        return out

    def figures(self, loci: np.ndarray) -> dict[str, Any]:
        """Counts and FIGURES of some loci, bool (W,), over their known calls together; None for one without a value."""
        truth, gp = self.truth[:, loci], self.gp[:, loci]
        known = truth != MISSING
        counts: dict[str, Any] = {"loci": int(loci.sum()), "cells": int(known.sum())}
        if not known.any():
            return counts | dict.fromkeys(FIGURES)
        truth, gp = truth[known], gp[known]
        call = gp.argmax(1)
        r2 = dosage_r2(truth, dosage(gp))  # NaN where truth or dosages do not vary
        values = (concordance(truth, call), non_reference_discordance(truth, call), r2, log_loss(truth, gp))
        return counts | {n: float(v) if np.isfinite(v) else None for n, v in zip(FIGURES, values, strict=True)}

    def by_frequency(self) -> list[dict[str, Any]]:
        """Figures of the loci of each bin of the frequency of the rarer allele in the panel, and of those that do not
        vary there."""
        place = bins_of(self.frequency)
        names = {-1: MONOMORPHIC, **dict(enumerate(bin_names()))}
        return [{"maf": name, **self.figures(place == i)} for i, name in names.items()]

    def by_frequencies_alone(self) -> HeldOut:
        """The same loci filled with the panel's frequencies in Hardy-Weinberg proportions, alike for every sample."""
        p = self.frequency
        gp = np.stack([(1 - p) ** 2, 2 * p * (1 - p), p**2], axis=1).astype(np.float32)
        return replace(self, gp=np.broadcast_to(gp, (len(self.truth), *gp.shape)), dr2=np.zeros_like(p))

    def by_dr2(self) -> list[dict[str, Any]]:
        """For loci of each bin of DR2, its mean beside that of the r2 that was found."""
        found, rows = self.found_r2, []
        varies = ~np.isnan(found)
        for low, high in pairwise(R2_EDGES):
            some = varies & (self.dr2 >= low) & ((self.dr2 < high) | (high == R2_EDGES[-1]))
            means = [float(values[some].mean()) if some.any() else None for values in (self.dr2, found)]
            rows.append({"from": low, "to": high, "loci": int(some.sum()), "dr2": means[0], "found_r2": means[1]})
        return rows


def hold_out(imputation: PanelImputation, every: int) -> HeldOut:
    """Hide one typed locus in `every`, evenly along each chromosome, from all samples at once, and fill it.

    Raises InputError where there are too few to hide any.
    """
    parts = []
    for one in imputation.chroms:
        hidden = np.arange(len(one.places)) % every == every // 2
        for number in range(len(one.windows)):
            part = _of_window(imputation, one, number, hidden)
            imputation.on_window()
            if part is not None:
                parts.append(part)
    if not parts:
        raise InputError(
            f"fewer than {every} loci are in the panel: too few to hide any; see that the right one is given"
        )
    return HeldOut(*(np.concatenate([part[i] for part in parts], axis=axis) for i, axis in enumerate((1, 1, 0, 0))))


def _of_window(
    imputation: PanelImputation, one: TargetChromosome, number: int, hidden: np.ndarray
) -> tuple[np.ndarray, ...] | None:
    """The fields of `HeldOut` at the hidden loci of a window; None where it has none."""
    filled = imputation.held_out(one, number, hidden)
    if filled is None or not hidden[filled[0]].any():
        return None
    loci, fill = filled
    some = hidden[loci]
    counts = imputation.store.alt_counts(one.panel_chrom)[one.places[loci[some]]]
    truth, gp, doses = imputation.typed_calls(one, loci[some]), fill.gp[:, some], fill.doses[:, :, some]
    if one.haploid is not None:
        haploid = one.haploid.at_loci(one.places[loci[some]]).block(0, None)
        gp, doses = gp_of_haploids(gp, haploid), doses_of_haploids(doses, haploid)
    return truth, gp, estimated_r2(doses), counts / imputation.store.n_haplotypes
