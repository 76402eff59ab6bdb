"""The VAE of a file with very many loci: trained on some of them, then read off at all, block by block.

The weights of a decoder, with their gradients and the optimizer's moments, take kilobytes a locus, so that a long file
of few samples would need many times the memory of its calls. The model is then trained on loci spread over the file.
Given z, loci are independent: the loadings of each of the others follow from its own calls, by penalised maximum
likelihood under the prior that training uses. Of all, only loadings along the main axes of the hidden units are kept.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.decoders.vae import rules as vae_rules
from imputevae_cli.decoders.vae.network import GenotypeVae, Latent, LinearInLoci, encode_in_batches, locus_statistics
from imputevae_cli.decoders.vae.rules import ReadOffRules
from imputevae_cli.decoders.vae.soft_calls import Calls, SoftCalls


def trained_loci(n_loci: int, rules: ReadOffRules | None = None) -> np.ndarray | None:
    """The loci to train on, int64, evenly spread; None for all."""
    most = (rules or vae_rules.DEFAULT.read_off).most_trained
    return np.arange(most) * n_loci // most if n_loci > most else None


class WideVae(LinearInLoci):
    """A model whose encoder reads the loci `seen`, int64, and whose decoder gives every locus.

    basis: float32 (H, axes), from the hidden units of `narrow`, the trained model, to the axes of `loadings`.
    """

    seen: Tensor
    basis: Tensor

    def __init__(self, narrow: GenotypeVae, seen: Tensor, basis: Tensor, loadings: Tensor, intercepts: Tensor):
        super().__init__(narrow.effects)
        self.narrow, self.shape = narrow, narrow.shape._replace(n_loci=loadings.shape[2])
        self.register_buffer("seen", seen)
        self.register_buffer("basis", basis)
        self.register_buffer("loadings", loadings)
        self.register_buffer("intercepts", intercepts)

    @classmethod
    @torch.no_grad()
    def fit(
        cls,
        narrow: GenotypeVae,
        calls: Calls,
        seen: Tensor,
        populations: Tensor | None,
        decoder_l2: float,
        rules: ReadOffRules | None = None,
    ) -> WideVae:
        """Loadings at all loci of calls, (N, L), for a model that was trained on those of `seen`, int64.

        Those keep what they were trained to, which knows of the noise in z. populations: int64 (N,) codes, or None.
        decoder_l2: as in training, the weight of the squared loadings.
        """
        rules = rules or vae_rules.DEFAULT.read_off
        latent = encode_in_batches(narrow, calls, populations, seen)
        hidden = narrow.hidden(latent.mu, populations)  # (N, H)
        _, spread, axes = torch.linalg.svd(hidden, full_matrices=False)
        n_axes = min(rules.axes, int((spread > rules.least_spread * spread[0]).sum()))
        basis = axes[:n_axes].T.contiguous()  # (H, axes)
        inputs = torch.cat([hidden @ basis, torch.ones(len(hidden), 1, device=hidden.device)], 1)
        precision = torch.full((inputs.shape[1],), 2.0 * decoder_l2, device=hidden.device)
        precision[-1] = rules.intercept_precision
        steps = rules.soft_steps if isinstance(calls, SoftCalls) else rules.steps
        n_effects, n_classes = narrow.effects.shape
        loadings = torch.empty(n_effects, n_axes, calls.shape[1])
        intercepts = torch.empty(n_classes - 1, calls.shape[1])
        for loci in _others(seen, calls, rules.cells_at_once):
            some = calls.index_select(1, loci).to(hidden.device)
            weights = _weights(inputs, some, narrow.effects, precision, steps)  # (E, b, axes + 1)
            loadings[:, :, loci] = weights[:, :, :-1].transpose(1, 2).cpu()
            intercepts[:, loci] = (narrow.effects[:, 1:].T @ weights[:, :, -1]).cpu()
        loadings[:, :, seen] = (basis.T @ narrow.loadings).cpu()
        intercepts[:, seen] = narrow.intercepts.cpu()
        return cls(narrow, seen.to(hidden.device), basis, loadings.to(hidden.device), intercepts.to(hidden.device))

    def encode(self, calls: Calls, populations: Tensor | None = None) -> Latent:
        """See `GenotypeVae.encode`; calls: (B, L) at all loci."""
        return self.narrow.encode(calls[:, self.seen], populations)

    def state(self) -> dict[str, Tensor]:
        """What makes it of its trained model, for a checkpoint."""
        return {name: getattr(self, name).cpu() for name in ("seen", "basis", "loadings", "intercepts")}

    def hidden(self, z: Tensor, populations: Tensor | None = None) -> Tensor:
        """Along the axes, float32 (B, axes); see `LinearInLoci.hidden`."""
        return self.narrow.hidden(z, populations) @ self.basis


def _others(seen: Tensor, calls: Calls, cells: int) -> Iterator[Tensor]:
    """The loci that are not among `seen`, int64, about `cells` cells at a time; calls: (N, L)."""
    is_seen = torch.zeros(calls.shape[1], dtype=torch.bool)
    is_seen[seen] = True
    return iter(torch.nonzero(~is_seen)[:, 0].split(max(16, cells // len(calls))))


class _Certain:
    """Certain calls, int8 (N, b), as the weights of their loci are fitted to them. known: float32 (N, b)."""

    def __init__(self, calls: Tensor, n_classes: int):
        self.here = torch.stack([calls == g for g in range(n_classes)]).float()  # (C, N, b)
        self.known = (calls != MISSING).float()

    def given(self, p: Tensor) -> Tensor:
        """Probabilities of the genotypes where the model's are p, (C, N, b) each; 0 where nothing is known."""
        return self.here

    def losses(self, log_p: Tensor) -> Tensor:
        """Of each locus, float32 (b,), under log probabilities, (C, N, b)."""
        return -(log_p * self.here).sum((0, 1))


class _Uncertain:
    """The same of evidence: at each step the likelihoods meet what the model then says (EM)."""

    def __init__(self, calls: SoftCalls):
        self.likelihoods, self.known = calls.likelihoods(), calls.known.float()

    def given(self, p: Tensor) -> Tensor:
        """See `_Certain`."""
        joint = p * self.likelihoods
        return joint / joint.sum(0).clamp_min(1e-30)

    def losses(self, log_p: Tensor) -> Tensor:
        """See `_Certain`; cells without evidence add 0."""
        return -torch.logsumexp(log_p + self.likelihoods.clamp_min(1e-30).log(), 0).sum(0)


def _weights(inputs: Tensor, calls: Calls, effects: Tensor, precision: Tensor, steps: int = 4) -> Tensor:
    """Weights of each effect at some loci, float32 (E, b, K), by Newton's method from the frequencies of the loci.

    inputs: float32 (N, K), the last a constant 1. calls: (N, b). effects: (E, C). precision: (K,), of the prior.
    """
    n_effects, width = len(effects), inputs.shape[1]
    start = _at_frequencies(calls, effects, width)
    seen = _Uncertain(calls) if isinstance(calls, SoftCalls) else _Certain(calls, effects.shape[1])
    products = (inputs[:, :, None] * inputs[:, None]).flatten(1)  # (N, K * K)
    prior = torch.diag(precision)
    weights = start.clone()
    for _ in range(steps):
        p = torch.softmax(_class_logits(inputs, weights, effects), 0) * seen.known  # (C, N, b)
        expected = torch.einsum("ec,cnb->enb", effects, p)
        residual = torch.einsum("ec,cnb->enb", effects, p - seen.given(p))
        slope = torch.einsum("enb,nk->ebk", residual, inputs) + precision * (weights - start)
        curvature = torch.empty(calls.shape[1], n_effects, width, n_effects, width, device=inputs.device)
        for e in range(n_effects):
            for f in range(e + 1):
                both = torch.einsum("c,cnb->nb", effects[e] * effects[f], p) - expected[e] * expected[f]
                block = (both.T @ products).view(-1, width, width) + (prior if e == f else 0.0)
                curvature[:, e, :, f] = curvature[:, f, :, e] = block
        system = curvature.view(-1, n_effects * width, n_effects * width)
        step = torch.linalg.solve(system, slope.transpose(0, 1).reshape(len(system), -1))
        weights = weights - step.view(-1, n_effects, width).transpose(0, 1)
    better = _penalised(inputs, weights, start, effects, seen, precision) < _penalised(
        inputs, start, start, effects, seen, precision
    )
    return torch.where(better[:, None], weights, start)


def _at_frequencies(calls: Calls, effects: Tensor, width: int) -> Tensor:
    """Weights float32 (E, b, width) that give the genotype frequencies of each locus to every sample."""
    if isinstance(calls, SoftCalls):
        odds = calls.frequencies().log()
    else:
        odds = locus_statistics(calls.cpu(), effects.shape[1]).frequencies.to(calls.device).log()  # (b, C)
    start = torch.zeros(len(effects), calls.shape[1], width, device=odds.device)
    start[:, :, -1] = torch.linalg.solve(effects[:, 1:].T, (odds[:, 1:] - odds[:, :1]).T)
    return start


def _class_logits(inputs: Tensor, weights: Tensor, effects: Tensor) -> Tensor:
    """Logits, float32 (C, N, b)."""
    return torch.einsum("ec,enb->cnb", effects, inputs @ weights.transpose(1, 2))


def _penalised(
    inputs: Tensor, weights: Tensor, start: Tensor, effects: Tensor, seen: _Certain | _Uncertain, precision: Tensor
) -> Tensor:
    """Minus the log posterior of each locus, float32 (b,), but for a constant; NaN where the steps went astray."""
    losses = seen.losses(torch.log_softmax(_class_logits(inputs, weights, effects), 0))
    return losses + 0.5 * ((weights - start).square() * precision).sum((0, 2))
