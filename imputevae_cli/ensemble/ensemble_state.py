"""A mixture as plain types and tensors, for a checkpoint, and back."""

from __future__ import annotations

from typing import Any

import torch

from imputevae_cli.config import Config
from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.decoders.copying.posterior import HaplotypePosterior
from imputevae_cli.decoders.knn.decoder import KnnModel
from imputevae_cli.decoders.vae.network import Latent
from imputevae_cli.decoders.vae.training_state import member_from_state, member_state
from imputevae_cli.ensemble.ensemble import Mixture
from imputevae_cli.ensemble.gate import Gate
from imputevae_cli.runtime.serialise import as_arrays, as_tensors


def mixture_state(mixture: Mixture) -> dict[str, Any]:
    """All of a mixture but its cohort."""
    haplotypes = mixture.haplotypes
    return {
        "encoder": member_state(mixture.encoder),
        "members": [member_state(member) for member in mixture.members if member is not mixture.encoder],
        "encoder_is_member": mixture.encoder in mixture.members,
        "thinned": None if mixture.thinned is None else torch.from_numpy(mixture.thinned),
        "latent": {"mu": mixture.latent.mu, "logvar": mixture.latent.logvar},
        "donors": None if mixture.donors is None else mixture.donors.state_dict(),
        "haplotypes": None if haplotypes is None else as_tensors(haplotypes.to_dict()),
        # Their cells are those missing in what they were shown: all known calls, or the visible ones
        "haplotypes_saw_all": haplotypes is not None and not len(haplotypes.hidden.truth),
        "gate": mixture.gate.state_dict(),
        "notes": list(mixture.notes),
    }


def mixture_from_state(
    state: dict[str, Any], cohort: Cohort, hidden: HiddenCells, config: Config, device: torch.device
) -> Mixture:
    """The mixture that `mixture_state` took down; hidden: the cells that its fit hid.

    Raises CheckpointError, KeyError, RuntimeError or ValueError where it does not fit.
    """
    thinned = None if state["thinned"] is None else state["thinned"].numpy()
    shape = (cohort.ploidy + 1, cohort.n_populations, config, device)
    encoder = member_from_state(state["encoder"], cohort.n_loci if thinned is None else len(thinned), *shape)
    members = [member_from_state(member, cohort.n_loci, *shape) for member in state["members"]]
    haplotypes = state["haplotypes"]
    unseen = HiddenCells.none() if state["haplotypes_saw_all"] else hidden
    return Mixture(
        cohort=cohort,
        encoder=encoder,
        thinned=thinned,
        latent=Latent(**state["latent"]),
        members=[encoder, *members] if state["encoder_is_member"] else members,
        donors=None if state["donors"] is None else KnnModel.from_state_dict(state["donors"]),
        haplotypes=None
        if haplotypes is None
        else HaplotypePosterior.from_dict(as_arrays(haplotypes), cohort.calls, unseen),
        gate=Gate.from_state_dict(state["gate"]),
        notes=state["notes"],
    )
