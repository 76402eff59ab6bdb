"""How near samples lie in the latent space."""

from __future__ import annotations

import numpy as np
import torch

from imputevae_cli.decoders.vae.network import Latent

MOST_COMPARED = 1000
"""So many samples at most tell how far apart samples lie."""


def latent_similarity(latent: Latent, other: Latent | None = None) -> np.ndarray:
    """How near samples lie in the latent space, float32 (N, M): 1 where means coincide, falling with their distance.

    exp(-d^2 / 2 median(d^2)) of the posterior means; rows are `latent`, columns `other` (or the same samples).
    """
    a = latent.mu.double()
    b = a if other is None else other.mu.double()
    some = b[:: -(-len(b) // MOST_COMPARED)]
    distance = torch.cdist(some, some).square()
    distance = distance[distance > 0]
    typical = distance.median() if len(distance) else torch.tensor(1.0)
    near = np.empty((len(a), len(b)), np.float32)
    for start in range(0, len(a), 256):  # in double precision for some samples at a time
        near[start : start + 256] = torch.exp(-torch.cdist(a[start : start + 256], b).square() / (2 * typical)).numpy()
    return near
