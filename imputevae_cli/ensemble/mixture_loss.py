"""The penalised log loss of a mixture and its gradient, written by hand: a fit asks for them hundreds of times.

Shapes: M cells, P parts, C genotypes, F features that steer, U units. Cells come last, so that numpy walks along them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class MixtureLoss:
    """Of the held-out calls of `mixture.Cells`, whose logits are those of `mixture.logits`.

    stack: float64 (C, P, M), log probabilities. inputs: float64 (F + P + 1, M), what steers, and ones. het: float64
    (HET_FEATURES or fewer, M). likelihoods: float64 (C, M), logarithms; 0 of a call and -inf of the other genotypes.
    called: float64 (C, M), 1 of a call and 0 of the others, where calls are certain.
    means, spreads: of the Gaussian that each parameter is expected to follow.
    """

    stack: np.ndarray
    inputs: np.ndarray
    het: np.ndarray
    likelihoods: np.ndarray
    called: np.ndarray | None
    means: Arrays
    spreads: Mapping[str, float]

    def of(self, parameters: Arrays) -> tuple[float, Arrays]:
        """The mean loss (nats) with the penalty, and the derivative by each of the `mixture.Parameters`."""
        n_cells = self.stack.shape[2]
        units, scores, temperature = self._steer(parameters)
        weights, sharpness = _softmax(scores)[0], np.exp(temperature)
        mixed = (weights * self.stack).sum(1)
        logits = sharpness * mixed
        if "het" in parameters:
            logits[1:-1] += np.einsum("h,hm->m", parameters["het"], self.het)
        loss, by_logits = self._of_logits(logits)

        gradient = {}
        if "het" in parameters:
            by_bias = by_logits[1:-1].sum(0)
            gradient["het"] = np.einsum("hm,m->h", self.het, by_bias)
        by_mixed = by_logits * sharpness
        by_temperature = (by_mixed * mixed).sum(0)
        by_weights = np.einsum("cpm,cm->pm", self.stack, by_mixed)
        by_scores = weights * (by_weights - (weights * by_weights).sum(0))
        gradient |= {"part": by_scores.sum(1), "temperature": by_temperature.sum(keepdims=True)}
        if units is not None:
            by_moved = np.vstack([by_scores, by_temperature])
            by_units = np.einsum("pu,pm->um", parameters["out"], by_moved) * (1 - units**2)
            gradient["out"] = np.einsum("pm,um->pu", by_moved, units)
            gradient["hidden"] = np.einsum("um,fm->uf", by_units, self.inputs)
        for name, value in parameters.items():
            far = (value - self.means[name]) / self.spreads[name]
            loss += float(np.square(far).sum()) / (2 * n_cells)
            gradient[name] = gradient[name] + far / (self.spreads[name] * n_cells)
        return loss, gradient

    def _steer(self, parameters: Arrays) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
        """The network's units (U, M), if any; scores of the parts (P, M) and log inverse temperature (M,), or (P, 1)
        and (1,) of all cells alike."""
        part, temperature = parameters["part"][:, None], parameters["temperature"]
        if "hidden" not in parameters:
            return None, part, temperature
        units = np.tanh(np.einsum("uf,fm->um", parameters["hidden"], self.inputs))
        moved = np.einsum("pu,um->pm", parameters["out"], units)
        return units, part + moved[:-1], temperature + moved[-1]

    def _of_logits(self, logits: np.ndarray) -> tuple[float, np.ndarray]:
        """The mean loss, and its derivative by the logits, (C, M)."""
        p, total = _softmax(logits)
        if self.called is not None:  # as the likelihoods would have it, with half as many exponentials
            posterior, likely = self.called, (self.called * logits).sum(0)
        else:
            posterior, likely = _softmax(logits + self.likelihoods)
        return float((total - likely).mean()), (p - posterior) / logits.shape[1]


def _softmax(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Over the first axis, and the logarithm of what was divided by."""
    most = scores.max(0)
    exp = np.exp(scores - most)
    total = exp.sum(0)
    return exp / total, most + np.log(total)
