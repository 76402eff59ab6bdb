"""Settings of the variational autoencoder's latent."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from imputevae_cli.schema import NonNegative, Section


class VaeSettings(Section):
    """The latent of the VAE.

    kl_beta: weight of the KL term. kl_beta_schedule: raises kl_beta linearly from 0 over the first half of
    train.max_epochs. draws: draws of z averaged for the genotype probabilities; 0 takes the posterior mean of z
    alone.
    """

    kl_beta: NonNegative = 3.0
    kl_beta_schedule: bool = False
    draws: Annotated[int, Meta(ge=0, le=100_000)] = 8
