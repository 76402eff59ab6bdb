"""What the report of a run is made from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from imputevae_cli.data.genotypes import GenotypeMatrix
from imputevae_cli.imputed import ImputedGenotypes
from imputevae_cli.imputer import ImputeVAE
from imputevae_cli.scoring.filled import Filled
from imputevae_cli.scoring.metrics import Accuracy
from imputevae_cli.scoring.pca import aligned_views, described, distance_correlation


@dataclass(frozen=True)
class Run:
    """What a report is of: the fitted model, what it filled, and the counts of that."""

    model: ImputeVAE
    imputed: ImputedGenotypes
    filled: Filled

    @property
    def genotypes(self) -> GenotypeMatrix:
        return self.imputed.genotypes

    @property
    def populations(self) -> list[str]:
        """The population of each sample."""
        return [self.filled.names[code] for code in self.filled.codes.tolist()]

    @cached_property
    def pca(self) -> dict[str, Any] | None:
        """The PCA of known and of filled calls, the second turned onto the first, as `scoring.pca` describes it; None
        with fewer than three samples, or without variation."""
        structure = self.filled.structure
        missing, codes = structure.sums.missing, self.filled.codes[structure.samples]
        aligned, shares = aligned_views(structure.sums.grams, "visible")
        if not aligned:
            return None
        correlations = {view: distance_correlation(axes, missing["visible"], codes) for view, axes in aligned.items()}
        return described(aligned, shares, missing, codes, self.filled.names) | {
            "samples": [self.genotypes.samples[i] for i in structure.samples.tolist()],
            "drift": {view: {"correlation": value} for view, value in correlations.items()},
        }

    @property
    def accuracy(self) -> Accuracy:
        """The accuracy that was expected of calls made as these are."""
        expected = self.model.expected
        return expected.by_dosage if self.imputed.call == "dosage" else expected.model

    @property
    def methods(self) -> dict[str, Accuracy]:
        """The model and what needs none, as they are called."""
        expected = self.model.expected
        found = {"imputevae": self.accuracy, "genotype frequencies": expected.baseline}
        return found if expected.ld_knni is None else {**found, "LD-kNNi": expected.ld_knni}

    def interval(self, metric: str) -> tuple[float, float]:
        """The 95 % interval of a figure of the model; NaN where there is none, as for calls by dosage."""
        expected = self.model.expected
        if getattr(self.accuracy, metric) != getattr(expected.model, metric):
            return float("nan"), float("nan")
        return getattr(expected.low, metric), getattr(expected.high, metric)
