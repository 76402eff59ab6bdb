"""Methods to stand beside `imputevae`, written from their papers: each takes calls and returns a `Filled`.

Shapes: N samples, L loci. calls: int8 (N, L), ALT-allele count, -1 missing. What a method must choose (a rank, a
penalty, a number of neighbours) it chooses on calls that it hides itself, in the pattern of the missing ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from imputevae_cli.data import frequencies as baselines
from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix
from imputevae_cli.masking.observed_pattern import as_matrix, observed_like_hidden_cells
from imputevae_cli.scoring import ld_knni as knni

HIDDEN_SHARE = 0.05


@dataclass
class Filled:
    """calls: int8 (N, L), none missing. gp: float (N, L, classes) or None. dosage: float (N, L) or None."""

    calls: np.ndarray
    gp: np.ndarray | None = None
    dosage: np.ndarray | None = None
    chosen: dict = field(default_factory=dict)


def hide(genotypes: GenotypeMatrix, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Calls with some known ones hidden, int8 (N, L), and which, bool (N, L)."""
    calls, codes = genotypes.calls, genotypes.loci.chrom_codes
    hidden = as_matrix(observed_like_hidden_cells(calls, codes, HIDDEN_SHARE, rng), calls.shape)
    return np.where(hidden, MISSING, genotypes.calls).astype(np.int8), hidden


def keep_known(genotypes: GenotypeMatrix, guess: np.ndarray) -> np.ndarray:
    """The guess, int (N, L), where a call is missing, and the call elsewhere."""
    return np.where(genotypes.calls == MISSING, guess, genotypes.calls).astype(np.int8)


def commonest_genotype(genotypes: GenotypeMatrix, rng: np.random.Generator) -> Filled:
    """The commonest genotype of the locus."""
    shares = baselines.genotype_frequencies(genotypes.calls, genotypes.n_classes)[-1]  # (L, C)
    return Filled(keep_known(genotypes, shares.argmax(1)[None, :]))


def population_frequencies(genotypes: GenotypeMatrix, rng: np.random.Generator) -> Filled:
    """Genotype frequencies of the sample's population; those of all samples where there is no popmap."""
    if genotypes.populations is None:
        codes, n_populations = np.zeros(genotypes.n_samples, int), 0
    else:
        names, codes = np.unique(genotypes.populations.astype(str), return_inverse=True)
        n_populations = len(names)
    gp = baselines.genotype_frequencies(genotypes.calls, genotypes.n_classes, codes, n_populations)[codes]  # (N, L, C)
    return Filled(keep_known(genotypes, gp.argmax(2)), gp)


# Low-rank completion of the dosages: EM-PCA and softImpute differ in what they do to the singular values alone.


def shrunk(matrix: np.ndarray, shrink: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The matrix with `shrink(values)` for its singular values, falling; by the smaller Gram matrix, for speed."""
    if matrix.shape[0] > matrix.shape[1]:
        return shrunk(matrix.T, shrink).T
    squares, left = np.linalg.eigh(matrix @ matrix.T)
    values, left = np.sqrt(np.maximum(squares[::-1], 1e-12)), left[:, ::-1]
    return (left * (shrink(values) / values)) @ (left.T @ matrix)


def complete(
    calls: np.ndarray,
    ploidy: int,
    shrink: Callable[[np.ndarray], np.ndarray],
    start: np.ndarray | None = None,
    iterations: int = 100,
    tolerance: float = 1e-4,
) -> np.ndarray:
    """Dosages, float (N, L), from a low-rank fit to the known calls, by turns of an SVD and of refilling.

    shrink: singular values, falling -> what becomes of them. start: dosages to begin with, else the locus means.
    Stops once the filled dosages move by less than `tolerance` of their size about the means (squares).
    """
    known = calls != MISSING
    filled = np.where(known, calls, baselines.locus_means(calls) if start is None else start).astype(float)
    for _ in range(iterations):
        mean = filled.mean(0)
        fitted = shrunk(filled - mean, shrink) + mean
        moved = np.square((fitted - filled)[~known]).sum()
        filled = np.where(known, calls, fitted)
        if moved <= tolerance * np.square((fitted - mean)[~known]).sum():
            break
    return np.clip(filled, 0, ploidy)


def _from_dosage(genotypes: GenotypeMatrix, dosage: np.ndarray, chosen: dict) -> Filled:
    return Filled(keep_known(genotypes, np.rint(dosage)), dosage=dosage, chosen=chosen)


def _mean_square(calls: np.ndarray, dosage: np.ndarray, cells: np.ndarray) -> float:
    return float(np.square(calls - dosage)[cells].mean())


def em_pca(genotypes: GenotypeMatrix, rng: np.random.Generator) -> Filled:
    """Iterative SVD of fixed rank (Troyanskaya et al. 2001); the rank grows until two steps bring no gain."""
    seen, hidden = hide(genotypes, rng)

    def keep_first(rank: int) -> Callable:
        return lambda values: np.where(np.arange(len(values)) < rank, values, 0.0)

    best_rank, best, worse = 0, np.inf, 0
    for rank in (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48):
        error = _mean_square(genotypes.calls, complete(seen, genotypes.ploidy, keep_first(rank)), hidden)
        best_rank, best, worse = (rank, error, 0) if error < best else (best_rank, best, worse + 1)
        if worse == 2 or rank >= genotypes.n_samples:
            break
    return _from_dosage(
        genotypes, complete(genotypes.calls, genotypes.ploidy, keep_first(best_rank)), {"rank": best_rank}
    )


def soft_impute(genotypes: GenotypeMatrix, rng: np.random.Generator) -> Filled:
    """softImpute (Mazumder, Hastie & Tibshirani 2010): singular values lessened by lambda, lambda falling."""
    seen, hidden = hide(genotypes, rng)
    means = baselines.locus_means(genotypes.calls)
    largest = np.linalg.norm(np.where(genotypes.calls == MISSING, 0.0, genotypes.calls - means), ord=2)

    def lessen(penalty: float) -> Callable:
        return lambda values: np.maximum(values - penalty, 0.0)

    best_penalty, best, worse, dosage = largest, np.inf, 0, None
    path = []
    for penalty in largest * 0.75 ** np.arange(30):
        dosage = complete(seen, genotypes.ploidy, lessen(penalty), dosage)  # a warm start, as in the paper
        error = _mean_square(genotypes.calls, dosage, hidden)
        best_penalty, best, worse = (penalty, error, 0) if error < best else (best_penalty, best, worse + 1)
        path.append(penalty)
        if worse == 2:
            break
    dosage = None
    for penalty in path[: path.index(best_penalty) + 1]:
        dosage = complete(genotypes.calls, genotypes.ploidy, lessen(penalty), dosage)
    return _from_dosage(genotypes, dosage, {"lambda": round(float(best_penalty), 3)})


def ld_knni(genotypes: GenotypeMatrix, rng: np.random.Generator) -> Filled:
    """LD-kNNi (Money et al. 2015), as `evaluate` has it."""
    samples, loci = np.nonzero(genotypes.calls == MISSING)
    call, gp, chosen = knni.ld_knni(genotypes.calls, genotypes.loci.chrom_codes, genotypes.ploidy, samples, loci, rng)
    filled, shares = genotypes.calls.copy(), np.zeros((*genotypes.calls.shape, genotypes.n_classes), np.float32)
    filled[samples, loci], shares[samples, loci] = call, gp
    return Filled(filled, shares, chosen=chosen)


PEERS: dict[str, Callable[[GenotypeMatrix, np.random.Generator], Filled]] = {
    "commonest genotype": commonest_genotype,
    "population frequencies": population_frequencies,
    "EM-PCA": em_pca,
    "softImpute": soft_impute,
    "LD-kNNi": ld_knni,
}
