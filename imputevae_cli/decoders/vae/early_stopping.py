"""When training of the VAE stops: the score on held-out calls, the best weights, and how long to wait for better."""

from __future__ import annotations

import numpy as np
import torch

from imputevae_cli.config import Config
from imputevae_cli.decoders.base import EpochResult
from imputevae_cli.decoders.vae.network import encode_in_batches
from imputevae_cli.decoders.vae.train_data import TrainingData
from imputevae_cli.decoders.vae.training_state import Member
from imputevae_cli.runtime.processes import Ranks


def is_finished(member: Member, config: Config) -> bool:
    """Whether it has run all its epochs, or so many without a better score that more would not help."""
    settings = config.train
    if member.epoch >= settings.max_epochs:
        return True
    stale = member.epoch - 1 - member.best_epoch >= settings.early_stop_gen
    return stale and member.epoch >= settings.min_epochs


@torch.no_grad()
def validation_loss(member: Member, data: TrainingData, device: torch.device, ranks: Ranks) -> float:
    """Log loss in nats per validation cell, z at its posterior mean; each process takes some of the samples."""
    some = ranks.part(len(data.calls))
    populations = None if data.populations is None else data.populations[some].to(device)
    latent = encode_in_batches(member.model, data.observed[some], populations, data.loci)
    cells = data.validation
    cells = cells.take(np.flatnonzero((cells.samples >= some.start) & (cells.samples < some.stop)))
    rows, loci = torch.from_numpy(cells.samples - some.start).to(device), torch.from_numpy(cells.loci).to(device)
    log_gp = torch.log_softmax(member.model.decode_cells(latent.mu, populations, rows, loci), 0).cpu()  # (C, M)
    if cells.likelihoods is None:
        loss = -log_gp.gather(0, torch.from_numpy(cells.truth)[None]).sum()
    else:
        loss = -torch.logsumexp(log_gp + torch.from_numpy(cells.likelihoods).t().clamp_min(1e-30).log(), 0).sum()
    ranks.add(loss)
    return float(loss / len(data.validation.truth))


def keep_best(member: Member, result: EpochResult) -> None:
    """Note an epoch, and its weights where it is the best so far."""
    if result.validation_loss < member.best_loss:
        member.best_loss, member.best_epoch = result.validation_loss, result.epoch
        for name, value in member.model.state_dict().items():
            if name in member.best_state:
                member.best_state[name].copy_(value)  # in place: the weights are most of the memory
            else:
                member.best_state[name] = value.detach().clone()
    member.epoch = result.epoch + 1
    member.history.append(result)
