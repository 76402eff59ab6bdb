"""Sums over the scored cells of each locus: figures come out of their total, and intervals out of resampled loci.

All figures of METRICS but for those that need the cells in order (average precision, ROC AUC) follow from sums. To
resample loci is then a product of matrices, and a stratum is a choice of cells to sum over.
"""

from __future__ import annotations

import numpy as np

from imputevae_cli.scoring.likelihood_score import likelihood_losses
from imputevae_cli.scoring.metrics import Cells, bounded, certain, greatest, quality_by_locus

BINS = 15
"""Of the best probability, for the calibration error."""
REPLICATES = 200
COVERAGE = 0.95


def sums_by_locus(cells: Cells, n_loci: int) -> dict[str, np.ndarray]:
    """Sums over the cells of each locus, from which every metric follows: float64 (n_loci,) or (n_loci, columns).

    counts: cells of truth i called j, j = C where left missing, (n_loci, C * (C + 1)). sse, sst: of the dosage about
    the truth, and of the truth about the locus mean. d, dd, dy: sums of dosage, its square, its product with the truth.
    scored: cells with probabilities; log_loss, brier, hellinger: sums over them; gaps: confidence less accuracy by bin.
    iqs, iqs_calls: score times cells; iqs_cells, iqs_calls_cells: those cells; loci without a score are left out.

    Of cells that are scored by their reads: counts (n_loci, 1), of the cells, scored, and read_loss.
    """
    if cells.likelihoods is not None:
        return _sums_by_reads(cells, n_loci)
    n_classes = cells.gp.shape[1]
    locus, truth, dosage = cells.known_locus, cells.truth, cells.dosage.astype(np.float64)

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(locus, values, minlength=n_loci)

    called = np.where(cells.call < 0, n_classes, cells.call)
    width = n_classes * (n_classes + 1)
    counts = np.bincount(locus * width + truth * (n_classes + 1) + called, minlength=n_loci * width)
    sums = {
        "counts": counts.reshape(n_loci, width).astype(np.float64),
        "sse": total(np.square(dosage - truth)),
        "sst": total(np.square(truth - cells.locus_mean)),
        "d": total(dosage),
        "dd": total(np.square(dosage)),
        "dy": total(dosage * truth),
    }
    posteriors = {"iqs": np.nan_to_num(cells.gp), "iqs_calls": certain(cells.call, n_classes)}
    for name, weights in posteriors.items():
        score, n = quality_by_locus(truth, weights, locus, n_loci)
        defined = np.isfinite(score)
        sums[name] = np.where(defined, score * n, 0.0)
        sums[f"{name}_cells"] = np.where(defined, n, 0.0)
    return sums | _sums_of_probabilities(cells, n_loci)


def _sums_by_reads(cells: Cells, n_loci: int) -> dict[str, np.ndarray]:
    locus = cells.known_locus
    scored = locus[np.isfinite(cells.gp[:, 0])]
    losses = likelihood_losses(*cells.known_likelihoods())
    return {
        "counts": np.bincount(locus, minlength=n_loci)[:, None].astype(np.float64),
        "scored": np.bincount(scored, minlength=n_loci).astype(np.float64),
        "read_loss": np.bincount(scored, losses, minlength=n_loci),
    }


def _sums_of_probabilities(cells: Cells, n_loci: int) -> dict[str, np.ndarray]:
    there = np.isfinite(cells.gp[:, 0])
    truth, gp = cells.with_probabilities()
    locus = cells.known_locus[there]

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(locus, values, minlength=n_loci)

    raised = bounded(gp)
    at = np.arange(len(truth)), truth
    confidence = greatest(raised)
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    right = raised.argmax(1) == truth
    gaps = np.bincount(locus * BINS + bins, confidence - right, minlength=n_loci * BINS)
    return {
        "scored": np.bincount(locus, minlength=n_loci).astype(np.float64),
        "log_loss": total(-np.log(raised[at])),
        "brier": total(np.square(gp).sum(1) - 2 * gp[at] + 1),
        "hellinger": total(1 - np.sqrt(1 - np.sqrt(gp[at].clip(0, 1)))),
        "gaps": gaps.reshape(n_loci, BINS),
    }


def figures(sums: dict[str, np.ndarray], n_classes: int) -> dict[str, np.ndarray]:
    """The figures of METRICS that follow from sums, by name, NaN where undefined; read_loss alone of sums by reads.

    sums: those of `sums_by_locus` added up over loci, with any leading axes (R,).
    """
    if "read_loss" in sums:
        with np.errstate(invalid="ignore", divide="ignore"):
            return {"read_loss": _ratio(sums["read_loss"], sums["scored"])}
    counts = sums["counts"].reshape(*sums["counts"].shape[:-1], n_classes, n_classes + 1)
    n = counts.sum((-2, -1))
    y, yy = (counts.sum(-1) @ np.arange(n_classes) ** power for power in (1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        covariance = n * sums["dy"] - sums["d"] * y
        spread = (n * sums["dd"] - sums["d"] ** 2) * (n * yy - y**2)
        out = _figures_of_counts(counts, n)
        out["skill_r2"] = _ratio(sums["sst"] - sums["sse"], sums["sst"])
        out["dosage_r2"] = np.where(spread > 1e-9 * n**4, covariance**2 / spread, np.nan)
        out["dosage_rmse"] = np.sqrt(_ratio(sums["sse"], n))
        for name in ("iqs", "iqs_calls"):
            out[name] = _ratio(sums[name], sums[f"{name}_cells"])
        for name in ("log_loss", "brier", "hellinger"):
            out[name] = _ratio(sums[name], sums["scored"])
        out["ece"] = _ratio(np.abs(sums["gaps"]).sum(-1), sums["scored"])
    return out


def _figures_of_counts(counts: np.ndarray, n: np.ndarray) -> dict[str, np.ndarray]:
    """Figures of hard calls; counts: float (..., C, C + 1), the last column for calls left missing."""
    true, called = counts.sum(-1), counts.sum(-2)  # (..., C), (..., C + 1)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)  # (..., C)
    right = hits.sum(-1)
    offered = called[..., :-1]

    def over_classes(values: np.ndarray) -> np.ndarray:
        present = true > 0
        return np.where(present, np.nan_to_num(values), 0.0).sum(-1) / present.sum(-1)

    spread = (n**2 - np.square(true).sum(-1)) * (n**2 - np.square(called).sum(-1))
    relevant = n - counts[..., 0, 0]
    return {
        "concordance": right / n,
        "nrd": np.where(relevant > 0, (n - right) / relevant, np.where(n > 0, 0.0, np.nan)),
        "f1": over_classes(2 * hits / (true + offered)),
        "mcc": np.where(
            spread > 0, (right * n - (true * offered).sum(-1)) / np.sqrt(spread), np.where(n > 0, 0, n / n)
        ),
        "precision": over_classes(hits / offered),
        "recall": over_classes(hits / true),
        "jaccard": over_classes(hits / (true + offered - hits)),
    }


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where(b > 0, a / b, np.nan)


def draws_of_loci(n_loci: int, rng: np.random.Generator, n_draws: int = REPLICATES) -> np.ndarray:
    """How often each locus is drawn, n_loci draws with replacement, uint8 (n_draws, n_loci)."""
    draws = np.empty((n_draws, n_loci), np.uint8)
    for row in draws:
        row[:] = np.minimum(np.bincount(rng.integers(n_loci, size=n_loci), minlength=n_loci), 255)
    return draws


def resampled(sums: dict[str, np.ndarray], draws: np.ndarray, block: int = 4096) -> dict[str, np.ndarray]:
    """Sums over the loci of each draw, (n_draws, ...); sums over loci that are empty cost nothing."""
    filled = np.flatnonzero(sums["counts"].any(1))
    columns = np.column_stack([values[filled] for values in sums.values()])
    total = np.zeros((len(draws), columns.shape[1]))
    for start in range(0, len(filled), block):
        some = slice(start, start + block)
        total += draws[:, filled[some]].astype(np.float64) @ columns[some]
    return _apart(total, sums)


def regrouped(sums: dict[str, np.ndarray], groups: np.ndarray, n_groups: int) -> dict[str, np.ndarray]:
    """Sums over groups of loci, (n_groups, ...); groups: int64 (n_loci,)."""
    columns = np.column_stack(list(sums.values()))
    total = np.zeros((n_groups, columns.shape[1]))
    for place, values in enumerate(columns.T):
        total[:, place] = np.bincount(groups, values, minlength=n_groups)
    return _apart(total, sums)


def _apart(columns: np.ndarray, like: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Sums that were laid side by side, float64 (R, all columns), by name again and of the same shapes."""
    widths = [values[0:1].size for values in like.values()]
    pieces = np.split(columns, np.cumsum(widths)[:-1], 1)
    return {name: piece.reshape(-1, *like[name].shape[1:]) for name, piece in zip(like, pieces, strict=True)}


def added_up(sums: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Sums over all loci."""
    return {name: values.sum(0) for name, values in sums.items()}


def intervals(sums: dict[str, np.ndarray], draws: np.ndarray, n_classes: int) -> dict[str, tuple[float, float]]:
    """Low and high of each figure: what COVERAGE of the resampled sets of loci give (percentile bootstrap)."""
    tail = 100 * (1 - COVERAGE) / 2
    out = {}
    for name, values in figures(resampled(sums, draws), n_classes).items():
        values = values[np.isfinite(values)]
        low, high = np.percentile(values, [tail, 100 - tail]) if len(values) else (np.nan, np.nan)
        out[name] = (float(low), float(high))
    return out
