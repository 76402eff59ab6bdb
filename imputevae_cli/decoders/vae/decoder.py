"""The variational autoencoder as one of the decoders: it reads what samples have in common over the whole genome.

Its latent serves other decoders too, and the user, so that it is fitted at least briefly in every model.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch

from imputevae_cli.config import Config
from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.decoders.base import (
    Context,
    Effort,
    EpochResult,
    FittedDecoder,
    Inputs,
    PlainDecoder,
    Role,
    Screen,
    Setting,
    Task,
    loci_at_once,
)
from imputevae_cli.decoders.vae.cost import training_cost
from imputevae_cli.decoders.vae.network import Latent, encode_in_batches
from imputevae_cli.decoders.vae.predict import VaePosterior
from imputevae_cli.decoders.vae.similarity import latent_similarity
from imputevae_cli.decoders.vae.soft_calls import observed_of
from imputevae_cli.decoders.vae.train import train_members
from imputevae_cli.decoders.vae.train_data import TrainingData, population_tensor
from imputevae_cli.decoders.vae.training_state import Member, member_from_state, member_state
from imputevae_cli.decoders.vae.untrained_loci import WideVae, trained_loci
from imputevae_cli.runtime.cost import Cost
from imputevae_cli.runtime.device import kernel_threads
from imputevae_cli.runtime.resumable import State
from imputevae_cli.runtime.sample_keys import digests
from imputevae_cli.runtime.search_space import YES_NO, Choices, Numbers, whole


class VaeDecoder(PlainDecoder):
    """See `Decoder`."""

    name, title = "vae", "the VAE"
    role = Role(serves=True, gives_way="linked", on_trial=True, reports_epochs=True, on_evidence="also", score=-1.5)
    sections = ("model", "train", "vae")
    search_space = {  # noqa: RUF012
        "model.latent_dim": whole(2, 32, log=True),
        "model.hidden_units": whole(32, 256, log=True),
        "model.num_hidden_layers": whole(0, 4),
        "model.dropout_rate": Numbers(0.0, 0.5),
        "model.activation": Choices(("relu", "elu", "selu", "leaky_relu", "gelu")),
        "model.layer_scaling_factor": Numbers(2.0, 10.0),
        "model.layer_schedule": Choices(("pyramid", "linear")),
        "train.learning_rate": Numbers(3e-4, 1e-2, log=True),
        "train.max_epochs": whole(30, 150, log=True),
        "train.l1_penalty": Numbers(0.0, 1e-3),
        "train.decoder_l2": Numbers(5.0, 500.0, log=True),
        "train.input_mask_max": Numbers(0.3, 0.9),
        "train.weights_power": Numbers(0.0, 2.0),
        "train.weights_normalize": YES_NO,
        "train.weights_inverse": YES_NO,
        "train.gamma": Numbers(0.0, 3.0),
        "train.gamma_schedule": YES_NO,
        "vae.kl_beta": Numbers(0.1, 10.0, log=True),
        "vae.kl_beta_schedule": YES_NO,
    }

    def screen(self, task: Task, earlier: FittedDecoder | None) -> Screen | None:
        """What the models of a cheap fit say at the loci that they were fitted on."""
        if not isinstance(earlier, FittedVae):
            return None
        cohort = task.cohort
        loci = np.arange(cohort.n_loci) if earlier.thinned is None else earlier.thinned
        places, inside = task.validation.within(np.arange(len(cohort.calls)), loci)
        if len(places) < task.rules.screen_cells:
            return None
        evidence = None if cohort.evidence is None else cohort.evidence.at_loci(loci)
        some = replace(cohort, calls=np.ascontiguousarray(cohort.calls[:, loci]), evidence=evidence)
        return Screen(places, posterior_of(earlier.members, some, task.config).cells(inside))

    def cost(self, task: Task, inputs: Inputs) -> Cost:
        """See `Decoder`."""
        return training_cost(task)

    def fit(self, task: Task, inputs: Inputs) -> FittedVae:
        """See `Decoder`. A fit in full keeps the latent of a cheap one before it, which others have used."""
        effort, earlier = inputs.effort, inputs.earlier
        if effort.serves_others:
            rules = task.rules
            epochs = rules.brief_epochs if effort is Effort.BRIEF else rules.cheap_epochs
            members, thinned = train_cheaply(task, effort, min(epochs, task.config.train.max_epochs))
        else:
            members, thinned = train_in_full(task)
        if isinstance(earlier, FittedVae):
            return replace(earlier, members=members, in_full=True)
        populations = _on_device(population_tensor(task.cohort), task.device)
        loci = None if thinned is None else torch.from_numpy(thinned)
        latent = encode_in_batches(members[0].model, observed_of(task.cohort), populations, loci)
        latent = Latent(latent.mu.cpu(), latent.logvar.cpu())
        config = task.config
        return FittedVae(task.cohort, config, members[0], thinned, latent, members, not effort.serves_others)

    def from_state(self, state: State, setting: Setting) -> FittedVae:
        """See `Decoder`."""
        cohort, config = setting.cohort, setting.config
        thinned = None if state["thinned"] is None else state["thinned"].numpy()
        shape = (cohort.ploidy + 1, cohort.n_populations, config, setting.device)
        encoder = member_from_state(state["encoder"], cohort.n_loci if thinned is None else len(thinned), *shape)
        members = [member_from_state(member, cohort.n_loci, *shape) for member in state["members"]]
        members = [encoder, *members] if state["encoder_is_member"] else members
        return FittedVae(cohort, config, encoder, thinned, Latent(**state["latent"]), members, state["in_full"])


@dataclass(frozen=True)
class FittedVae:
    """See `FittedDecoder` and `SampleStructure`.

    encoder: the model that gives the latent; thinned: the loci that it was fitted on, int64, or None for all.
    latent: of the cohort's samples, from their visible calls. members: the models whose probabilities are averaged.
    """

    cohort: Cohort
    config: Config = field(repr=False)
    encoder: Member = field(repr=False)
    thinned: np.ndarray | None
    latent: Latent
    members: list[Member]
    in_full: bool
    _visible: list[VaePosterior] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def reads_all_loci(self) -> bool:
        """See `SampleStructure`."""
        return self.thinned is None

    @property
    def history(self) -> list[EpochResult]:
        """Every epoch of the encoder and of every other model."""
        others = [member for member in self.members if member is not self.encoder]
        return [result for member in [self.encoder, *others] for result in member.history]

    def gp_of(self, cells: HiddenCells) -> np.ndarray:
        """See `FittedDecoder`; the latents of the visible calls are encoded once."""
        if not self._visible:
            self._visible.append(posterior_of(self.members, self.cohort, self.config))
        return self._visible[0].cells(cells)

    def on_all_calls(self, task: Task, inputs: Inputs) -> FittedVae:
        """See `FittedDecoder`."""
        self._visible.clear()
        return self

    def for_cohort(self, context: Context) -> VaePosterior:
        """See `FittedDecoder`."""
        return posterior_of(self.members, self.cohort, context.config)

    def for_samples(self, cohort: Cohort, context: Context) -> VaePosterior:
        """See `FittedDecoder`."""
        return posterior_of(self.members, cohort, context.config, by_own_calls=True)

    def for_others_alone(self) -> FittedVae:
        """See `SampleStructure`."""
        return replace(self, members=[], in_full=False)

    def without_samples(self) -> FittedVae:
        """The same without the cohort's calls and latents."""
        latent = Latent(self.latent.mu[:0], self.latent.logvar[:0])
        return replace(self, cohort=self.cohort.without_samples(), latent=latent)

    def latent_of(self, cohort: Cohort) -> Latent:
        """q(z | x) of samples from what is known of them."""
        loci = None if self.thinned is None else torch.from_numpy(self.thinned)
        model = self.encoder.model
        populations = _on_device(population_tensor(cohort), model.loadings.device)
        calls = observed_of(cohort, model.shape.reads_evidence)
        latent = encode_in_batches(model, calls, populations, loci)
        return Latent(latent.mu.cpu(), latent.logvar.cpu())

    def similarity(self) -> np.ndarray:
        """See `SampleStructure`."""
        return latent_similarity(self.latent)

    def similarity_to(self, cohort: Cohort) -> np.ndarray:
        """See `SampleStructure`."""
        return latent_similarity(self.latent_of(cohort), self.latent)

    def allele_chances(self) -> np.ndarray:
        """See `SampleStructure`."""
        cohort = self.cohort
        posterior = posterior_of(self.members, cohort, self.config)
        rows = np.empty(cohort.calls.shape, np.uint8)
        size = loci_at_once(len(rows))
        alleles = np.arange(cohort.ploidy + 1, dtype=np.float32) * (255 / cohort.ploidy)
        for start in range(0, cohort.n_loci, size):
            stop = min(start + size, cohort.n_loci)
            rows[:, start:stop] = np.rint(posterior.gp(start, stop) @ alleles)
        return rows

    def state(self) -> State:
        """See `FittedDecoder`."""
        return {
            "encoder": member_state(self.encoder),
            "members": [member_state(member) for member in self.members if member is not self.encoder],
            "encoder_is_member": self.encoder in self.members,
            "thinned": None if self.thinned is None else torch.from_numpy(self.thinned),
            "latent": {"mu": self.latent.mu, "logvar": self.latent.logvar},
            "in_full": self.in_full,
        }


def train_cheaply(task: Task, effort: Effort, epochs: int) -> tuple[list[Member], np.ndarray | None]:
    """One model of so many epochs, in a large file on some of its loci, and these (None: all)."""
    step = -(-task.cohort.calls.size // task.rules.latent_cells)
    thinned = np.arange(0, task.cohort.n_loci, step) if step > 1 else None
    short = replace(task, config=task.config.replace({"train.ensemble": 1, "train.max_epochs": epochs}))
    with kernel_threads(1):
        data = TrainingData.of(task.cohort, task.validation, thinned)
        # It is so cheap that the first of several processes fits it, and gets what one by itself would
        return _train(short, data, f"vae {effort.value}", together=False), thinned


def train_in_full(task: Task) -> tuple[list[Member], np.ndarray | None]:
    """The models, and the loci that they were trained on (None: all); each gives all loci."""
    thinned = trained_loci(task.cohort.n_loci)
    data, config = TrainingData.of(task.cohort, task.validation, thinned), task.config
    with kernel_threads(1):  # more gain nothing, and give sums with other last bits
        members = _train(task, data, "vae", together=True)
        if thinned is not None:
            assert data.loci is not None
            populations = _on_device(data.populations, task.device)
            for member in members:
                member.wide = WideVae.fit(member.model, data.observed, data.loci, populations, config.train.decoder_l2)
    return members, thinned


def _train(task: Task, data: TrainingData, name: str, together: bool) -> list[Member]:
    return train_members(data, task.config, task.options, task.on_epoch, name, together=together)


def posterior_of(members: list[Member], cohort: Cohort, config: Config, *, by_own_calls: bool = False) -> VaePosterior:
    """What models say of a cohort. by_own_calls: a sample's draws hang on its own calls, not on its place."""
    everywhere = np.array([[0, 0, cohort.n_loci, cohort.n_loci]])
    return VaePosterior(
        [member.decoder for member in members],
        observed_of(cohort, members[0].model.shape.reads_evidence),
        population_tensor(cohort),
        draws=config.vae.draws,
        seed=config.io.seed,
        identities=digests(cohort.calls, everywhere)[0] if by_own_calls else None,
    )


def _on_device(populations: torch.Tensor | None, device: torch.device) -> torch.Tensor | None:
    return None if populations is None else populations.to(device)
