"""PCA of genotypes, and whether samples with many missing calls are drawn to its origin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from imputevae_cli.data.genotypes import MISSING

AXES = 2
"""Axes that are reported and drawn, and in which distances are taken."""
ALIGNED_AXES = 10
"""Axes among which views are rotated onto the truth, so that two axes of nearly one variance may change places."""
NO_DRIFT = 0.05
"""A sample that lacks half of its calls and goes less of the way to the origin than this is said not to drift."""
Blocks = Callable[[], Iterable[Mapping[str, np.ndarray]]]
"""A function that walks the loci: view -> its calls at a run of loci, int8 (N, b), -1 missing."""


def pca_of_views(blocks: Blocks, codes: np.ndarray, names: list[str], ploidy: int) -> dict[str, Any] | None:
    """PCA of each view, rotated onto the view `truth`; None with fewer than three samples or without variation.

    codes: int64 (N,), each sample's population among `names`. Every view is scaled as in Patterson et al. (2006), a
    missing call at its locus's mean. Only rotation and reflection are applied (orthogonal Procrustes over the first
    ALIGNED_AXES axes), so distances and the origin stay those of the view's own PCA.

    Returns explained: shares of the variance on the view's own axes. coordinates: view -> a row a sample.
    missing: share of calls that each sample lacks in `visible`. populations and codes. drift: see `drift`.
    """
    grams, missing = relationship(blocks, ploidy)
    aligned, shares = aligned_views(grams, "truth")
    if not aligned:
        return None
    return described(aligned, shares, missing, codes, names) | {"drift": drift(aligned, missing, codes)}


def aligned_views(
    grams: Mapping[str, np.ndarray], reference: str
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """View -> coordinates on AXES axes, float64 (N, AXES), rotated onto those of one view, and -> shares of variance.

    grams: of `Relationship`. Both are empty with fewer than three samples, or without variation.
    """
    if any(len(gram) < 3 or not np.trace(gram) > 0 for gram in grams.values()):
        return {}, {}
    found = {view: principal_coordinates(gram, ALIGNED_AXES) for view, gram in grams.items()}
    onto = found[reference][0]
    aligned = {view: rotated_onto(axes, onto)[:, :AXES] for view, (axes, _) in found.items()}
    return aligned, {view: shares[:AXES] for view, (_, shares) in found.items()}


def described(
    aligned: Mapping[str, np.ndarray],
    shares: Mapping[str, np.ndarray],
    missing: Mapping[str, np.ndarray],
    codes: np.ndarray,
    names: list[str],
) -> dict[str, Any]:
    """What `pca_of_views` returns, but for the drift; the first two are of `aligned_views`."""
    return {
        "explained": {view: [round(float(s), 4) for s in of_view] for view, of_view in shares.items()},
        "coordinates": {view: np.round(axes, 4).tolist() for view, axes in aligned.items()},
        "missing": np.round(missing["visible"], 4).tolist(),
        "populations": names,
        "codes": codes.tolist(),
    }


class Relationship:
    """How samples lie to one another in each view, summed over blocks of loci.

    The products of two samples are of calls less their mean, over their spread sqrt(k p (1 - p)), k the ploidy: as in
    Patterson et al. (2006) but for a constant; 0 where one is missing. Loci that show one allele in the view are left
    out.
    """

    def __init__(self, ploidy: int):
        self._ploidy = ploidy
        self._grams: dict[str, np.ndarray] = {}
        self._lacking: dict[str, np.ndarray] = {}
        self._n_loci: dict[str, int] = {}
        self._n_all = 0

    def add(self, views: Mapping[str, np.ndarray]) -> None:
        """Add a block: view -> calls, int8 (N, b), -1 missing."""
        for view, calls in views.items():
            scaled = _standardised(calls, self._ploidy)  # (N, polymorphic loci)
            self._grams[view] = self._grams.get(view, 0.0) + (scaled @ scaled.T).astype(np.float64)
            self._lacking[view] = self._lacking.get(view, 0) + (calls == MISSING).sum(1)
            self._n_loci[view] = self._n_loci.get(view, 0) + scaled.shape[1]
        self._n_all += next(iter(views.values())).shape[1]

    @property
    def grams(self) -> dict[str, np.ndarray]:
        """View -> the mean over its loci of the products, float64 (N, N)."""
        return {view: gram / max(self._n_loci[view], 1) for view, gram in self._grams.items()}

    @property
    def missing(self) -> dict[str, np.ndarray]:
        """View -> the share of calls that each sample lacks, float64 (N,)."""
        return {view: count / max(self._n_all, 1) for view, count in self._lacking.items()}


def relationship(blocks: Blocks, ploidy: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """See `Relationship`: `grams` and `missing` of all blocks."""
    sums = Relationship(ploidy)
    for views in blocks():
        sums.add(views)
    return sums.grams, sums.missing


def _standardised(calls: np.ndarray, ploidy: int) -> np.ndarray:
    known = calls != MISSING
    p = np.maximum(calls, 0).sum(0, dtype=np.int64) / np.maximum(ploidy * known.sum(0), 1)
    varies = (p > 0) & (p < 1)
    p = p[varies].astype(np.float32)
    centred = np.where(known[:, varies], calls[:, varies] - ploidy * p, np.float32(0))
    return centred / np.sqrt(ploidy * p * (1 - p))


def principal_coordinates(gram: np.ndarray, n_axes: int) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of the samples on the first axes, float64 (N, n_axes), and the share of variance of each (n_axes,).

    gram: float64 (N, N). The sample farthest out on an axis is on its positive side; axes that there are not are 0.
    """
    values, vectors = np.linalg.eigh(gram)
    values, vectors = np.maximum(values[::-1][:n_axes], 0), vectors[:, ::-1][:, :n_axes]
    axes = vectors * np.sqrt(values)
    farthest = np.abs(axes).argmax(0)
    axes = axes * np.where(axes[farthest, np.arange(axes.shape[1])] < 0, -1, 1)
    spare = n_axes - axes.shape[1]
    return np.pad(axes, ((0, 0), (0, spare))), np.pad(values / np.trace(gram), (0, spare))


def rotated_onto(axes: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """`axes` rotated and reflected to lie nearest to `reference`, both float64 (N, K) (orthogonal Procrustes)."""
    left, _, right = np.linalg.svd(axes.T @ reference)
    return axes @ (left @ right)


def drift(
    coordinates: Mapping[str, np.ndarray], missing: Mapping[str, np.ndarray], codes: np.ndarray
) -> dict[str, dict[str, Any] | str]:
    """Whether samples that lack many visible calls lie nearer to the origin, for the views `visible` and `imputed`.

    coordinates: view -> float64 (N, axes). missing: view -> float64 (N,), shares. codes: int64 (N,), populations.

    pull: the share of the way to the origin that a sample without any call would go; 1 where missing calls sit at the
    mean, 0 where missingness does not matter. See `pull_to_origin`. pull_error: its standard error.
    correlation: of the missing share with the distance from the origin, over the mean distance in the own population.
    sentence: the same in words.
    """
    numbers = {}
    for view in ("visible", "imputed"):
        pull, error = pull_to_origin(coordinates[view], coordinates["truth"], missing["truth"], missing["visible"])
        numbers[view] = {
            "pull": pull,
            "pull_error": error,
            "correlation": distance_correlation(coordinates[view], missing["visible"], codes),
        }
    return numbers | {"sentence": _drift_sentence(numbers["visible"], numbers["imputed"])}


def pull_to_origin(
    axes: np.ndarray, reference: np.ndarray, missing_there: np.ndarray, missing: np.ndarray
) -> tuple[float | None, float | None]:
    """The pull b of x = (1 - b * missing) * t by least squares over the samples, and its standard error.

    x is a sample's place in the view, float64 (N, axes); t its place without missing calls, for which its place in
    `reference` over the share of calls known there is taken, since a missing call at the mean adds nothing.
    Samples of which the reference itself knows less than a fifth are left out. None where no sample lacks a call.
    """
    known = missing_there < 0.8
    t = reference[known] / (1 - missing_there[known])[:, None]
    m = missing[known]
    weight = (t**2).sum(1) * m  # (n,)
    below = float((weight * m).sum())
    if below <= 0:
        return None, None
    short = t - axes[known]  # what each sample has gone towards the origin
    pull = float(((short * t).sum(1) * m).sum()) / below
    rest = (short * t).sum(1) * m - pull * weight * m
    return round(pull, 4) + 0.0, round(float(np.sqrt((rest**2).sum())) / below, 4)


def distance_correlation(axes: np.ndarray, missing: np.ndarray, codes: np.ndarray) -> float | None:
    """Correlation of the missing share, float64 (N,), with the distance from the origin, over its mean in the own
    population; None where one of them does not vary."""
    distance = np.sqrt((axes**2).sum(1))
    usual = np.bincount(codes, distance) / np.bincount(codes)
    relative = distance / np.maximum(usual[codes], 1e-12)
    if len(missing) < 3 or np.ptp(missing) == 0 or np.ptp(relative) == 0:
        return None
    return round(float(np.corrcoef(relative, missing)[0, 1]), 4)


def _drift_sentence(before: dict[str, Any], after: dict[str, Any]) -> str:
    if before["pull"] is None or after["pull"] is None:
        return "No sample lacks a call, so none can be drawn to the origin of the PCA."
    if max(before["pull_error"], after["pull_error"]) > 0.25:
        return "The samples say too little to tell whether missing calls draw them to the origin of the PCA."
    was, now = before["pull"] / 2, after["pull"] / 2
    words = (
        f"In the PCA, a sample that lacks half of its calls lies {100 * max(was, 0):.0f}% of the way to the origin "
        f"before imputation, and {100 * max(now, 0):.0f}% after it: samples with many missing calls"
    )
    if now < -NO_DRIFT:
        return f"{words} are pushed outwards, so structure looks stronger than it is."
    if now < NO_DRIFT:
        return f"{words} {'no longer' if was >= NO_DRIFT else 'do not'} drift."
    return f"{words} {'still drift' if now < was else 'drift all the same'}."
