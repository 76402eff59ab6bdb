"""The numbers that decide what the regression decoder does, by name; all measured in `bench/results/polyploids.json`
on a real tetraploid diallel and on five simulated files, but for `window`, `floor` and `mean_share`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RegressionRules:
    """The numbers that decide the regressions.

    window: loci on either side, on the chromosome, that are looked at; linked: of these, so many regressors, those with
    the greatest prior variance, |r| ** power * exp(-loci between / length), r the correlation with the locus. axes: of
    the relationship of the samples, regressors too; ancestry: share of the prior variance that they get together.
    mean_share: prior variance of a locus's mean, of that of its dosages. residuals: shares of the variance that
    regressors do not explain, of which held-out calls choose one for all loci. passes: over the file, each with the
    expected dosages of the one before as regressors; updates: of what each cell's likelihoods say, in each pass.
    floor: least variance of a dosage, in squared alleles.
    """

    window: int = 100
    linked: int = 80
    power: float = 1.0
    length: float = 30.0
    axes: int = 20
    ancestry: float = 0.2
    mean_share: float = 0.05
    residuals: tuple[float, ...] = (0.1, 0.2, 0.4, 0.7)
    passes: int = 2
    updates: int = 3
    floor: float = 0.01


DEFAULT = RegressionRules()
"""What the decoder follows where it is given no others."""
