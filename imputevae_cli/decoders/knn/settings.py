"""Settings of the nearest-neighbour decoder."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from imputevae_cli.schema import Count, CountOrZero, NonNegative, OpenShare, Positive, Section, Width


class KnnSettings(Section):
    """The nearest-neighbour decoder; the defaults suit reduced-representation data of tens to hundreds of samples.

    heads: attention heads. hidden: units of the network that corrects the votes. window: loci on either side that
    count by distance. linked: most correlated loci that join the context. max_donors: of more samples, a random
    choice votes. steps, batch_loci, queries_per_locus: size of the training. learning_rate, weight_decay: of its
    optimiser. hide: share of the known calls hidden to train on. redraws: times that share is drawn anew at
    the least; in small files it is oftener. averaged_steps: the weights are a running average over about so many steps.
    """

    heads: Annotated[int, Meta(ge=1, le=256)] = 6
    hidden: Width = 48
    window: Count = 16
    linked: CountOrZero = 16
    max_donors: Count = 1000
    steps: Count = 500
    batch_loci: Annotated[int, Meta(ge=1, le=4096)] = 64
    queries_per_locus: Annotated[int, Meta(ge=1, le=1024)] = 8
    learning_rate: Positive = 1.5e-2
    weight_decay: NonNegative = 1e-3
    hide: OpenShare = 0.1
    redraws: Count = 3
    averaged_steps: Count = 50
