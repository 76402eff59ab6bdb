"""Bayesian linear regression of the dosages at one locus, whose cells are known by genotype likelihoods alone.

    dosage of a sample = mean + regressors . weights + residual,   weights ~ N(0, I),   residual ~ N(0, s)

A cell's likelihoods are no normal distribution; expectation propagation (Minka 2001) stands in for each with the normal
one that gives the same mean and variance of the dosage beside all that the other cells say. What these say, without
the cell's own likelihoods, is the cell's prediction.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LEAST = 1e-9
"""Of a precision, as a share."""


class Sites(NamedTuple):
    """Gaussians in place of the likelihoods of cells (the sites of expectation propagation): precision, and precision
    times dosage, float (N,) or (N, L)."""

    precision: np.ndarray
    weighted: np.ndarray


class Prediction(NamedTuple):
    """Mean and variance of dosages, of any shape."""

    mean: np.ndarray
    variance: np.ndarray


class Prior(NamedTuple):
    """mean: of the dosages. residual: variance that regressors do not explain."""

    mean: float
    residual: float


def genotype_chances(prediction: Prediction, n_classes: int) -> np.ndarray:
    """P(genotype), float64 (..., C): a normal distribution at the whole dosages 0..C - 1."""
    dose = np.arange(n_classes)
    logs = -0.5 * (dose - prediction.mean[..., None]) ** 2 / prediction.variance[..., None]
    chances = np.exp(logs - logs.max(-1, keepdims=True))
    return chances / chances.sum(-1, keepdims=True)


def moments(chances: np.ndarray, floor: float) -> Prediction:
    """Mean and variance of the dosage, (...,) each, the variance at least `floor`; chances: (..., C)."""
    dose = np.arange(chances.shape[-1])
    mean = chances @ dose
    return Prediction(mean, np.maximum(chances @ dose**2 - mean**2, floor))


def sites_beside(prediction: Prediction, likelihoods: np.ndarray, floor: float) -> Sites:
    """The Gaussians that stand in for likelihoods, (N, C), beside a prediction, (N,)."""
    joint = genotype_chances(prediction, likelihoods.shape[-1]) * likelihoods
    mean, variance = moments(joint / np.maximum(joint.sum(-1, keepdims=True), 1e-300), floor)
    precision = np.maximum(1 / variance - 1 / prediction.variance, 0)
    weighted = np.where(precision > 0, mean / variance - prediction.mean / prediction.variance, 0)
    return Sites(precision, weighted)


def regress(
    regressors: np.ndarray, prior: Prior, likelihoods: np.ndarray, sites: Sites, updates: int, floor: float
) -> tuple[Prediction, Sites, Prediction]:
    """Predictions of the N samples with likelihoods, float (N, C), their sites, and predictions of the other samples.

    regressors: float64 (N + M, R), of the N samples and of M others, of which nothing is known at the locus.
    """
    n = len(likelihoods)
    known, others = regressors[:n], regressors[n:]
    for update in range(updates):
        precision, weighted = sites
        shrunk = 1 + precision * prior.residual
        seen, value = precision / shrunk, (weighted - precision * prior.mean) / shrunk  # of the part that is explained
        covariance = np.linalg.inv(np.eye(known.shape[1]) + (known * seen[:, None]).T @ known)
        weights = covariance @ (known.T @ value)
        mean, variance = known @ weights, np.einsum("nr,nr->n", known @ covariance, known)
        without = np.maximum(1 / variance - seen, LEAST / variance)  # less what the cell itself had said
        predicted = Prediction(prior.mean + (mean / variance - value) / without, 1 / without + prior.residual)
        if update < updates - 1:
            sites = sites_beside(predicted, likelihoods, floor)
    spread = np.einsum("nr,nr->n", others @ covariance, others)
    return predicted, sites, Prediction(prior.mean + others @ weights, spread + prior.residual)
