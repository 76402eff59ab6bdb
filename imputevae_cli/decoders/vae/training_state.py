"""One model of the VAE, with all that its training needs, and how a checkpoint holds it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from imputevae_cli.config import Config
from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.decoders.base import EpochResult
from imputevae_cli.decoders.vae.network import GenotypeVae, VaeShape, locus_statistics, statistics_of
from imputevae_cli.decoders.vae.train_data import TrainingData
from imputevae_cli.decoders.vae.untrained_loci import WideVae
from imputevae_cli.runtime.adamw import AdamW
from imputevae_cli.seeds import seed_for


@dataclass
class Epoch:
    """A pass over all samples: order, int64 (N,); how many of them are done; sums over these, in nats, and calls."""

    order: Tensor
    done: int = 0
    reconstruction: float = 0.0
    kl: float = 0.0
    n_calls: int = 0


@dataclass(eq=False)
class Member:
    """One model of the VAE, with all that its training needs to go on.

    best_state: the weights at `best_epoch`, the epoch with the lowest validation loss. running: the epoch at work.
    """

    index: int
    model: GenotypeVae
    optimizer: AdamW
    generator: torch.Generator
    epoch: int = 0
    best_epoch: int = -1
    best_loss: float = math.inf
    best_state: dict[str, Tensor] = field(default_factory=dict)
    history: list[EpochResult] = field(default_factory=list)
    running: Epoch | None = None
    wide: WideVae | None = None

    @property
    def decoder(self) -> GenotypeVae | WideVae:
        """The model of all loci: `wide` where `model` was trained on some of them."""
        return self.model if self.wide is None else self.wide


def new_member(index: int, data: TrainingData, config: Config, device: torch.device) -> Member:
    """A member before its first epoch; its seed is that of the run and its number."""
    generator = torch.Generator().manual_seed(seed_for(config.io.seed, f"member {index}"))
    shape = VaeShape(data.n_loci, data.n_classes, data.n_populations, data.soft is not None)
    if data.frequencies is None:
        statistics = locus_statistics(data.calls, data.n_classes, data.loci)
    else:
        statistics = statistics_of(data.frequencies)
    model = GenotypeVae(shape, config.model, statistics, generator).to(device)
    return Member(index, model, optimizer_of(model, config), generator)


def optimizer_of(model: GenotypeVae, config: Config) -> AdamW:
    """The optimizer of a model that has yet to take a step."""
    # The loadings have their own prior, decoder_l2
    groups = [(shared_by_loci(model), config.train.weight_decay), ([model.loadings, model.intercepts], 0.0)]
    return AdamW(groups, config.train.learning_rate)


def member_state(member: Member) -> dict[str, Any]:
    """All of a member as plain types and tensors, for a checkpoint."""
    return {
        "index": member.index,
        "weights": {name: value.cpu() for name, value in member.model.state_dict().items()},
        "optimizer": member.optimizer.state_dict(),
        "generator": member.generator.get_state(),
        "epoch": member.epoch,
        "best_epoch": member.best_epoch,
        "best_loss": member.best_loss,
        "history": [asdict(result) for result in member.history],
        "wide": None if member.wide is None else member.wide.state(),
    }


def member_from_state(
    state: dict[str, Any], n_loci: int, n_classes: int, n_populations: int, config: Config, device: torch.device
) -> Member:
    """The member that `member_state` took down. Raises KeyError, RuntimeError or ValueError where it does not fit."""
    generator, wide = torch.Generator(), state["wide"]
    n_loci = n_loci if wide is None else len(wide["seen"])
    shape = VaeShape(n_loci, n_classes, n_populations, "prior" in state["weights"])
    blank = locus_statistics(torch.full((1, n_loci), MISSING, dtype=torch.int8), n_classes)
    model = GenotypeVae(shape, config.model, blank, generator).to(device)
    model.load_state_dict(state["weights"])
    optimizer = optimizer_of(model, config)
    optimizer.load_state_dict(state["optimizer"])
    generator.set_state(state["generator"])
    history = [EpochResult(**result) for result in state["history"]]
    return Member(
        state["index"],
        model,
        optimizer,
        generator,
        state["epoch"],
        state["best_epoch"],
        state["best_loss"],
        {},
        history,
        wide=None if wide is None else WideVae(model, **wide).to(device),
    )


def shared_by_loci(model: GenotypeVae) -> list[Tensor]:
    """The parameters of the encoder and of the hidden layers."""
    return [p for p in model.parameters() if p is not model.loadings and p is not model.intercepts]
