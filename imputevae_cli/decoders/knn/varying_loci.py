"""That a locus varies, as a file's loci do, where the calls that say so are uncertain.

What the other samples say of a call takes no account of it: where no other sample seems to carry the minor allele, the
one that seems to is as good as told that it does not either. But someone must.
"""

from __future__ import annotations

import numpy as np

from imputevae_cli.data.evidence_frequencies import posterior
from imputevae_cli.data.genotypes import MISSING

_LEAST = 1e-6


def given_that_it_varies(gp: np.ndarray, likelihoods: np.ndarray, calls: np.ndarray) -> np.ndarray:
    """Genotype probabilities of samples at loci, given that not all have the commoner homozygote; float32 (N, l, C).

    P(that one | it varies) is as P(that one) x P(another sample varies), with the others independent of one another.
    gp: float32 (N, l, C), from all but a cell's own evidence. likelihoods: of that. calls: int8 (N, l), -1 missing;
    a locus whose calls are all one homozygote is left as it is.
    """
    post = posterior(gp, likelihoods)
    commoner = np.where(post[..., 0].sum(0) >= post[..., -1].sum(0), 0, gp.shape[2] - 1)  # (l,)
    places = np.arange(gp.shape[1])
    log_alike = np.log(np.maximum(post[:, places, commoner].astype(np.float64), _LEAST))  # (N, l)
    others_vary = np.maximum(-np.expm1(log_alike.sum(0) - log_alike), _LEAST)
    others_vary[:, ~((calls != commoner) & (calls != MISSING)).any(0)] = 1.0
    out = gp.copy()
    out[:, places, commoner] *= others_vary.astype(np.float32)
    return out / out.sum(2, keepdims=True)
