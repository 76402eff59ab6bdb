"""The thresholds by which a fit decides what is worth its cost."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rules:
    """What decides which decoders are fitted, and in full or not. A test passes others; users need none.

    small_cells: up to so many cells (samples x loci) every decoder is cheap and all are fitted; more are screened first
    (bench/results/scale.json). linked, closely_linked: haplotype copying that brings the baseline's log loss below
    the first share of it makes decoders that read structure alone needless, and nearest neighbours are trained for
    `reduced` of their steps; below the second these must show in a screen that they add to the haplotypes. Set after
    seeing the ratios of the eleven cases, none of which lies between 18 and 70 % (bench/results/auto.json).
    closely_linked_uncertain: the second share where calls are uncertain: even the truth would leave a part of the
    loss there, as the held-out reads are noisy. Set after seeing ratios of .46 and .61 on two low-depth files.
    screen_loci, screen_samples: the size of a screen. screen_cells: with fewer held-out calls nothing is decided.
    Of these three there is no measurement; they keep a screen under two seconds. screen_steps: of nearest neighbours,
    which have learned most by then (from .443 to .297 of log loss, of .293 after 500, on a file of 197 x 400).
    after_screen: share of the steps of a training that starts from what a screen learned (on 280 recombinant inbred
    lines NRD is .0352, and .0351 after a share of .6; on 281 inbred maize lines .1778 and .1780).
    global_shares: copying priors of the VAE's own expectation as one more state, tried in this order.
    latent_cells: cells that the encoder is trained on where it only serves other decoders. brief_epochs, cheap_epochs:
    its epochs then; the second also judges it (bench/profile.md).
    """

    small_cells: int = 200_000
    linked: float = 0.8
    closely_linked: float = 0.3
    closely_linked_uncertain: float = 0.8
    reduced: float = 0.5
    screen_loci: int = 600
    screen_samples: int = 500
    screen_cells: int = 100
    screen_steps: int = 100
    after_screen: float = 0.4
    global_shares: tuple[float, ...] = (0.05, 0.2, 0.5)
    latent_cells: int = 300_000
    brief_epochs: int = 8
    cheap_epochs: int = 20
