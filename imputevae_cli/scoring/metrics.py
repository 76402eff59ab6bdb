"""Accuracy over scored cells: known calls that were hidden from the imputer.

Shapes: M scored cells. truth: int (M,), the ALT-allele count. gp: float (M, C), genotype probabilities, NaN where
a cell has none. call: int (M,), the genotype called, -1 for a cell that was left missing, which counts as wrong.
scikit-learn is imported where it is needed: importing it takes 80 MB and a second, which `impute` need not pay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

import numpy as np

from imputevae_cli.data.frequencies import info_score

LEAST_PROBABILITY = 1e-3
"""GP are written with 3 decimals: a probability below this is counted as this, in log loss and in calibration."""


@dataclass(frozen=True)
class Accuracy:
    """The figures that are read together, over `n` scored cells."""

    n: int
    concordance: float
    nrd: float
    f1: float
    skill_r2: float
    log_loss: float
    ece: float


@dataclass(frozen=True)
class ConfidencePoint:
    """What a threshold on the best GP keeps: share of the cells, and the share of those that are right."""

    min_gp: float
    kept: float
    accuracy: float


def confidence_curve(
    truth: np.ndarray, gp: np.ndarray, filled: np.ndarray | None = None, least_kept: int = 20
) -> list[ConfidencePoint]:
    """Accuracy of the calls whose best GP reaches each threshold, 0 to .99 by hundredths, while `least_kept` remain.

    filled: GP of the calls that it is to hold for, float (K, C), if not the scored ones: the accuracy is their mean
    best GP, less what that is too high by among the scored ones.
    """
    best, right = greatest(gp), gp.argmax(1) == truth
    aim = best if filled is None else greatest(filled)
    points = []
    for threshold in np.arange(100) / 100:
        scored, kept = best >= threshold, aim >= threshold
        if min(scored.sum(), kept.sum()) < least_kept:
            break
        expected = right[scored].mean() + (aim[kept].mean() - best[scored].mean())
        points.append(ConfidencePoint(float(threshold), float(kept.mean()), float(np.clip(expected, 0.0, 1.0))))
    return points


def accuracy(
    truth: np.ndarray,
    gp: np.ndarray,
    locus_mean: np.ndarray,
    averaging: str = "macro",
    call: np.ndarray | None = None,
) -> Accuracy:
    """Every figure of `Accuracy`. locus_mean: float (M,), mean dosage of the visible calls at each cell's locus.
    call: None for the likeliest genotype."""
    call = gp.argmax(1) if call is None else call
    return Accuracy(
        n=len(truth),
        concordance=concordance(truth, call),
        nrd=non_reference_discordance(truth, call),
        f1=f1(truth, call, averaging),
        skill_r2=skill_r2(truth, dosage(gp), locus_mean),
        log_loss=log_loss(truth, gp),
        ece=expected_calibration_error(truth, gp),
    )


def dosage(gp: np.ndarray) -> np.ndarray:
    """Expected ALT-allele count, float (...,), of genotype probabilities, float (..., C)."""
    return gp @ np.arange(gp.shape[-1], dtype=gp.dtype)


def call_by_dosage(gp: np.ndarray) -> np.ndarray:
    """The genotype nearest to the dosage, int64 (M,), the greater of two; the likeliest where `gp` excludes that one.

    gp: (M, C), genotype probabilities, or any multiple of them.
    """
    nearest = np.floor(gp @ np.arange(gp.shape[1], dtype=float) / gp.sum(1) + 0.5).astype(np.int64)
    return np.where(gp[np.arange(len(gp)), nearest] > 0, nearest, gp.argmax(1))


def concordance(truth: np.ndarray, call: np.ndarray) -> float:
    """Share of cells called right."""
    return float((truth == call).mean())


def non_reference_discordance(truth: np.ndarray, call: np.ndarray) -> float:
    """Share of wrong calls among cells that truth and call do not both take for homozygous reference (bcftools).

    >>> non_reference_discordance(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 2]))
    0.3333333333333333
    """
    relevant = ~((truth == 0) & (call == 0))
    return float((truth != call)[relevant].mean()) if relevant.any() else 0.0


def f1(truth: np.ndarray, call: np.ndarray, averaging: str = "macro") -> float:
    """F1 averaged over the genotype classes that occur in `truth`, as scikit-learn's f1_score with those labels.

    averaging: macro (classes alike), weighted (by their cells) or micro (over all cells at once). Counted here,
    since `impute` reports it and is to do without scikit-learn.
    """
    classes, cells = np.unique(truth, return_counts=True)
    right = np.array([np.sum((truth == c) & (call == c)) for c in classes])
    called = np.array([np.sum(call == c) for c in classes])
    if averaging == "micro":
        return float(2 * right.sum() / (cells.sum() + called.sum()))
    return float(np.average(2 * right / (cells + called), weights=cells if averaging == "weighted" else None))


def skill_r2(truth: np.ndarray, dosage: np.ndarray, locus_mean: np.ndarray) -> float:
    """1 - SSE / SST of the dosage, SST about the locus mean; 0 is no better than the mean. NaN where SST is 0."""
    total = float(np.square(truth - locus_mean).sum())
    return 1.0 - float(np.square(truth - dosage).sum()) / total if total else float("nan")


def bounded(gp: np.ndarray) -> np.ndarray:
    """The same probabilities, none of them below LEAST_PROBABILITY."""
    clipped = np.clip(gp, LEAST_PROBABILITY, 1.0)
    return clipped / reduce(np.add, clipped.T)[:, None]


def greatest(gp: np.ndarray) -> np.ndarray:
    """The greatest of each cell's probabilities, (M,): genotype by genotype, since numpy is slow along a short axis."""
    return reduce(np.maximum, gp.T)


def log_loss(truth: np.ndarray, gp: np.ndarray) -> float:
    """Mean of -ln p(truth), in nats."""
    return float(-np.log(bounded(gp)[np.arange(len(truth)), truth]).mean())


def expected_calibration_error(truth: np.ndarray, gp: np.ndarray, n_bins: int = 15) -> float:
    """Sum over equal bins of max p of share x |accuracy - mean confidence| (Guo et al. 2017)."""
    confidence, right = greatest(gp), gp.argmax(1) == truth
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    weights = np.bincount(bins, minlength=n_bins)
    gaps = np.bincount(bins, confidence - right, minlength=n_bins)
    return float(np.abs(gaps).sum() / weights.sum())


def brier(truth: np.ndarray, gp: np.ndarray) -> float:
    """Mean over cells of the squared distance between gp and the truth, 0 to 2 (Brier 1950)."""
    return float((np.square(gp).sum(1) - 2 * gp[np.arange(len(truth)), truth] + 1).mean())


def hellinger_score(truth: np.ndarray, gp: np.ndarray) -> float:
    """Mean of 1 - sqrt(1 - sqrt(p of the truth)); 1 is best (Roshyara et al. 2014)."""
    return float((1 - np.sqrt(1 - np.sqrt(gp[np.arange(len(truth)), truth].clip(0, 1)))).mean())


def dosage_r2(truth: np.ndarray, dosage: np.ndarray) -> float:
    """Squared correlation of dosage and truth over all cells pooled; NaN where either is constant."""
    x, y = dosage - dosage.mean(), truth - truth.mean()
    spread = float(np.square(x).sum()) * float(np.square(y).sum())
    return float(x @ y) ** 2 / spread if spread > 1e-12 * len(truth) else float("nan")


def dosage_rmse(truth: np.ndarray, dosage: np.ndarray) -> float:
    """Root of the mean squared difference of dosage and truth, in alleles.

    >>> dosage_rmse(np.array([0, 2, 4]), np.array([0.0, 2.0, 1.0]))
    1.7320508075688772
    """
    return float(np.sqrt(np.square(truth - dosage).mean()))


def quality_by_locus(
    truth: np.ndarray, weights: np.ndarray, locus: np.ndarray, n_loci: int
) -> tuple[np.ndarray, np.ndarray]:
    """Imputation quality score (Lin et al. 2010) of each locus, float (n_loci,), and its scored cells, float (n_loci,).

    (Po - Pc) / (1 - Pc), with Po the agreement and Pc the agreement that chance gives; NaN where Pc is 1 and
    where nothing is scored. weights: float (M, C), the posterior of each call, or 0 and 1 for hard calls; a row of
    zeros (left missing) agrees with nothing. locus: int (M,), 0..n_loci - 1.
    """
    cells = np.bincount(locus, minlength=n_loci).astype(float)
    right = np.bincount(locus, weights[np.arange(len(truth)), truth], minlength=n_loci)
    chance = np.zeros(n_loci)
    for genotype in range(weights.shape[1]):
        true_here = np.bincount(locus, truth == genotype, minlength=n_loci)
        chance += true_here * np.bincount(locus, weights[:, genotype], minlength=n_loci)
    with np.errstate(invalid="ignore", divide="ignore"):
        agreed, by_chance = right / cells, chance / cells**2
        # GP in float32 sum to one but for 1e-7: a locus of one genotype, called so, must not slip through
        score = np.where(by_chance < 1 - 1e-6, (agreed - by_chance) / (1 - by_chance), np.nan)
    return score, cells


def imputation_quality_score(truth: np.ndarray, weights: np.ndarray, locus: np.ndarray) -> float:
    """`quality_by_locus` averaged over loci, weighed by their scored cells; NaN where no locus has one."""
    score, cells = quality_by_locus(truth, weights, locus, int(locus.max(initial=-1)) + 1)
    defined = np.isfinite(score)
    return float(np.average(score[defined], weights=cells[defined])) if defined.any() else float("nan")


def impute_info(gp: np.ndarray, locus: np.ndarray, n_loci: int) -> np.ndarray:
    """The IMPUTE `info_score` of each locus over cells with probabilities gp, float (M, C); NaN where there is none."""
    ploidy = gp.shape[1] - 1
    e, f = (gp @ np.arange(ploidy + 1, dtype=float) ** power for power in (1, 2))
    n, total, spread = (np.bincount(locus, w, minlength=n_loci) for w in (None, e, f - e**2))
    with np.errstate(invalid="ignore", divide="ignore"):
        theta = total / (ploidy * n)
    return info_score(theta, spread, ploidy * n)


def certain(call: np.ndarray, n_classes: int) -> np.ndarray:
    """Probability 1 of each call, float32 (M, C); a row of zeros for a call of -1."""
    return (call[:, None] == np.arange(n_classes)).astype(np.float32)


def matthews(truth: np.ndarray, call: np.ndarray) -> float:
    """Matthews correlation over all classes (Gorodkin 2004); a call left missing is a class of its own."""
    from sklearn.metrics import matthews_corrcoef

    return float(matthews_corrcoef(truth, call))


def _averaged(name: str) -> Callable[[Cells], float]:
    """scikit-learn's precision, recall or jaccard, the plain mean over the classes that occur in the truth."""

    def metric(cells: Cells) -> float:
        from sklearn import metrics

        function = getattr(metrics, f"{name}_score")
        return float(function(cells.truth, cells.call, labels=np.unique(cells.truth), average="macro", zero_division=0))

    return metric


def by_class(truth: np.ndarray, gp: np.ndarray, name: str) -> dict[int, float]:
    """scikit-learn's `average_precision_score` or `roc_auc_score` of each class against the rest.

    A class that does not occur in the truth, or is all of it, is left out.
    """
    from sklearn import metrics

    function = getattr(metrics, name)
    present = [c for c in range(gp.shape[1]) if 0 < (truth == c).sum() < len(truth)]
    return {c: float(function(truth == c, gp[:, c])) for c in present}


def _mean_over_classes(name: str) -> Callable[[Cells], float]:
    def metric(cells: Cells) -> float:
        truth, gp = cells.with_probabilities()
        values = list(by_class(truth, gp, name).values())
        return float(np.mean(values)) if values else float("nan")

    return metric


def _of_probabilities(function: Callable[[np.ndarray, np.ndarray], float]) -> Callable[[Cells], float]:
    def metric(cells: Cells) -> float:
        truth, gp = cells.with_probabilities()
        return function(truth, gp) if len(truth) else float("nan")

    return metric


@dataclass(frozen=True)
class Cells:
    """Scored cells. locus_mean: float (M,), mean dosage of the visible calls at each cell's locus. locus: int (M,),
    or None: then metrics that are taken locus by locus are left out. dosage: float (M,), finite. likelihoods: float
    (M, C), what the reads of each cell say, where cells are scored by these: `truth` is an uncertain call then.
    """

    truth: np.ndarray
    gp: np.ndarray
    call: np.ndarray
    locus_mean: np.ndarray
    locus: np.ndarray | None
    dosage: np.ndarray
    likelihoods: np.ndarray | None = None

    def with_probabilities(self) -> tuple[np.ndarray, np.ndarray]:
        """Truth and gp of the cells that have probabilities."""
        there = np.isfinite(self.gp[:, 0])
        return (self.truth, self.gp) if there.all() else (self.truth[there], self.gp[there])

    def known_likelihoods(self) -> tuple[np.ndarray, np.ndarray]:
        """gp and likelihoods of the cells that have probabilities."""
        assert self.likelihoods is not None  # else nobody asks
        there = np.isfinite(self.gp[:, 0])
        return self.gp[there], self.likelihoods[there]

    @property
    def expected_accuracy(self) -> float:
        """The mean probability of the likeliest genotype: the share of right calls, by the method's own account."""
        there = np.isfinite(self.gp[:, 0])
        return float(self.gp[there].max(1).mean()) if there.any() else float("nan")

    @property
    def known_locus(self) -> np.ndarray:
        """`locus`, for what cannot do without."""
        assert self.locus is not None
        return self.locus

    def take(self, index: np.ndarray | slice) -> Cells:
        """The cells at `index`, int or bool."""
        locus = None if self.locus is None else self.locus[index]
        likelihoods = None if self.likelihoods is None else self.likelihoods[index]
        of_call = self.truth[index], self.gp[index], self.call[index]
        return Cells(*of_call, self.locus_mean[index], locus, self.dosage[index], likelihoods)


class Metric(NamedTuple):
    """A figure over cells: its function, and whether less is better."""

    function: Callable[[Cells], float]
    lower_is_better: bool


METRICS: dict[str, Metric] = {
    "concordance": Metric(lambda c: concordance(c.truth, c.call), False),
    "nrd": Metric(lambda c: non_reference_discordance(c.truth, c.call), True),
    "f1": Metric(lambda c: f1(c.truth, c.call), False),
    "skill_r2": Metric(lambda c: skill_r2(c.truth, c.dosage, c.locus_mean), False),
    "iqs": Metric(lambda c: imputation_quality_score(c.truth, np.nan_to_num(c.gp), c.known_locus), False),
    "log_loss": Metric(_of_probabilities(log_loss), True),
    "dosage_r2": Metric(lambda c: dosage_r2(c.truth, c.dosage), False),
    "dosage_rmse": Metric(lambda c: dosage_rmse(c.truth, c.dosage), True),
    "mcc": Metric(lambda c: matthews(c.truth, c.call), False),
    "precision": Metric(_averaged("precision"), False),
    "recall": Metric(_averaged("recall"), False),
    "jaccard": Metric(_averaged("jaccard"), False),
    "average_precision": Metric(_mean_over_classes("average_precision_score"), False),
    "roc_auc": Metric(_mean_over_classes("roc_auc_score"), False),
    "brier": Metric(_of_probabilities(brier), True),
    "hellinger": Metric(_of_probabilities(hellinger_score), False),
    "ece": Metric(_of_probabilities(lambda truth, gp: expected_calibration_error(truth, bounded(gp))), True),
    "iqs_calls": Metric(
        lambda c: imputation_quality_score(c.truth, certain(c.call, c.gp.shape[1]), c.known_locus), False
    ),
}
"""Every figure by name. `iqs` goes by the posteriors, `iqs_calls` by the hard calls; both need `locus`."""

BY_LOCUS = ("iqs", "iqs_calls")
OF_PROBABILITIES = ("log_loss", "brier", "hellinger", "ece")
"""These say nothing of a method that gives calls or dosages alone."""


def score_cells(
    truth: np.ndarray,
    gp: np.ndarray,
    call: np.ndarray,
    locus_mean: np.ndarray,
    locus: np.ndarray | None = None,
    doses: np.ndarray | None = None,
) -> dict[str, float]:
    """METRICS of the cells, NaN where undefined; those of BY_LOCUS only where `locus`, int (M,), is given.

    doses: float (M,), where they are known apart from gp; else from gp, then the call, then the locus mean.
    """
    gp = np.asarray(gp)
    if doses is None:
        doses = fill_dosage(dosage(gp), call, locus_mean)
    cells = Cells(np.asarray(truth).astype(np.int64), gp, call, locus_mean, locus, doses)
    return {name: m.function(cells) for name, m in METRICS.items() if locus is not None or name not in BY_LOCUS}


def fill_dosage(doses: np.ndarray, call: np.ndarray, locus_mean: np.ndarray) -> np.ndarray:
    """Dosages, float (M,), with those that are not finite replaced by the call, or by the mean where it is missing."""
    return np.where(np.isfinite(doses), doses, np.where(call >= 0, call, locus_mean))
