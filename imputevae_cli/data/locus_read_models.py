"""Read models of polyploids: each locus has an allelic bias and an over-dispersion of its own.

The more copies of an allele there may be, the less do genotypes differ in their shares of ALT reads, and the more does
it matter that reads of one allele are preferred (by a primer, a restriction site or a read mapper), and that they are
not independent. As in updog (Gerard et al. 2018), the share p of ALT reads that a genotype gives, with the error rate
in it, becomes p / (p + h (1 - p)) under a bias h, and reads are beta-binomial; polyRAD (Clark et al. 2019) likewise
takes over-dispersed reads. Other than there, bias and over-dispersion are chosen from a grid, the bias with a normal
prior on its logarithm, and genotypes have Hardy-Weinberg proportions, with the inbreeding coefficient of the file
where heterozygotes lack: structure would else pass for bias.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from imputevae_cli.data.evidence import FIRST_FREE, FLAT, Evidence
from imputevae_cli.data.evidence_frequencies import Tally, allele_frequencies, inbred_proportions, some_loci
from imputevae_cli.data.read_model import ReadModel, fit_read_model

FITTED_CELLS = 400_000
"""Cells that the error rate, and the inbreeding coefficient, are fitted to."""
BLOCK_CELLS = 1 << 21
"""Cells whose loci are fitted at once."""
MOST_CODES = 1 << 16


@dataclass(frozen=True)
class LocusRules:
    """The grid of what a locus may have.

    log_biases: log h. spread: of the normal prior on it. overdispersions: correlations of the reads of a cell. steps:
    of EM, of the frequencies of ALT under each. Chosen on one real file (a potato diallel) and five simulated ones
    (bench/results/polyploids.json): a wider prior mistakes the structure of few reads for bias.
    """

    log_biases: tuple[float, ...] = tuple(0.25 * k for k in range(-4, 5))
    spread: float = 0.3
    overdispersions: tuple[float, ...] = (0.002, 0.01, 0.03)
    steps: int = 10


def evidence_of_counts(
    ref: np.ndarray, alt: np.ndarray, codes: np.ndarray, special: np.ndarray, rules: LocusRules | None = None
) -> tuple[Evidence, ReadModel]:
    """Likelihoods of read counts, and the read model of the file as a whole, which has its error rate.

    ref, alt: int (K,), counts behind each code. codes: uint16 (N, L); those from FIRST_FREE on stand for counts.
    special: float32 (FIRST_FREE, C), the likelihoods of the others.
    """
    rules, ploidy = rules or LocusRules(), special.shape[1] - 1
    counts = Evidence(codes, np.ones((len(ref), ploidy + 1), np.float32))
    some = Tally.of(counts, some_loci(codes.shape[0], codes.shape[1], FITTED_CELLS)).of_counts()
    whole = fit_read_model(ref, alt, some, ploidy)
    alike = some.with_table(whole.likelihoods(ref, alt, ploidy))
    _, inbreeding = allele_frequencies(alike, ploidy)
    models = [ReadModel(whole.error, rho, bias) for bias, rho in product(rules.log_biases, rules.overdispersions)]
    chosen = _likeliest(ref, alt, counts, models, inbreeding, rules)
    used, places = np.unique(chosen, return_inverse=True)
    while True:
        recoded, pairs = _recoded(codes, places, len(ref))
        if len(pairs) <= MOST_CODES - FIRST_FREE or len(used) == 1:
            break
        used, places = used[::2], places // 2  # too many pairs of a model and counts: neighbours share a model
    table = np.concatenate([special, np.empty((len(pairs), ploidy + 1), np.float32)])
    which, code = np.divmod(pairs, len(ref))
    for number, model in enumerate(used):
        here = which == number
        table[FIRST_FREE:][here] = models[model].likelihoods(ref[code[here]], alt[code[here]], ploidy)
    return Evidence(recoded, table), whole


def _likeliest(
    ref: np.ndarray, alt: np.ndarray, counts: Evidence, models: list[ReadModel], inbreeding: float, rules: LocusRules
) -> np.ndarray:
    """The place of the likeliest of the models at each locus, int64 (L,), under the prior on the bias."""
    n_samples, n_loci = counts.codes.shape
    ploidy = counts.n_classes - 1
    chosen = np.zeros(n_loci, np.int64)
    logs = [model.log_likelihoods(ref, alt, ploidy) for model in models]
    size = max(1, BLOCK_CELLS // n_samples)
    for start in range(0, n_loci, size):
        tally = Tally.of(counts, np.arange(start, min(start + size, n_loci))).of_counts()
        best = np.full(tally.n_loci, -np.inf)
        for place, (model, log) in enumerate(zip(models, logs, strict=True)):
            top = log.max(1)
            now = tally.with_table(np.exp(log - top[:, None]))
            frequencies, _ = allele_frequencies(now, ploidy, inbreeding=inbreeding, n_steps=rules.steps)
            score = now.log_likelihoods(inbred_proportions(frequencies, ploidy, inbreeding))
            score += np.bincount(tally.loci, tally.counts * top[tally.codes], tally.n_loci)
            score -= 0.5 * (model.log_bias / rules.spread) ** 2
            better = score > best
            best[better], chosen[start : start + tally.n_loci][better] = score[better], place
    return chosen


def _recoded(codes: np.ndarray, models: np.ndarray, n_codes: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes of counts and the model of their locus, uint16 (N, L), and the pairs behind them, int64 (K,), as
    model * n_codes + code; models: int64 (L,)."""
    taken = np.zeros(n_codes * (int(models.max(initial=0)) + 1), bool)
    for row in codes:
        taken[(models * n_codes + row)[row >= FIRST_FREE]] = True
    pairs = np.flatnonzero(taken)
    if len(pairs) > MOST_CODES - FIRST_FREE:
        return codes, pairs
    code_of = np.full(len(taken), FLAT, np.uint16)
    code_of[pairs] = FIRST_FREE + np.arange(len(pairs))
    out = np.empty_like(codes)
    for new, row in zip(out, codes, strict=True):
        new[:] = np.where(row >= FIRST_FREE, code_of[models * n_codes + row], row)
    return out, pairs
