"""What the report of a run is made from."""

from __future__ import annotations

from dataclasses import dataclass

from imputevae_cli.data.genotypes import GenotypeMatrix
from imputevae_cli.imputed import ImputedGenotypes
from imputevae_cli.imputer import ImputeVAE
from imputevae_cli.scoring.filled import Filled
from imputevae_cli.scoring.metrics import Accuracy


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
        """Of each sample."""
        return [self.filled.names[code] for code in self.filled.codes.tolist()]

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
