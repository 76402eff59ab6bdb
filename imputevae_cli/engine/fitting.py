"""Fitting a model: which parts are worth their cost, the parts themselves, and the gate over them.

Every part sees the same visible calls; the hidden validation cells decide. What a look at a few stretches of the
genome shows to be useless is left out before its cost is paid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import msgspec
import numpy as np
import torch

from imputevae_cli.config import Config
from imputevae_cli.engine.cells import HiddenCells, pick
from imputevae_cli.engine.copying import HaplotypeDecoder
from imputevae_cli.engine.copying_chain import Schedule
from imputevae_cli.engine.copying_posterior import HaplotypePosterior
from imputevae_cli.engine.device import kernel_threads
from imputevae_cli.engine.donors import DonorDecoder
from imputevae_cli.engine.evidence import Evidence, Glimpse, View, asked_together
from imputevae_cli.engine.excerpts import two_stretches
from imputevae_cli.engine.gate import Gate
from imputevae_cli.engine.mixture import (
    DONORS,
    FREQUENCIES,
    GLOBAL,
    HAPLOTYPE,
    Cohort,
    FrequencyPart,
    Mixture,
    closeness,
    global_posterior,
)
from imputevae_cli.engine.stages import Stages
from imputevae_cli.engine.trainer import EpochResult, Member, TrainingData, train_members
from imputevae_cli.engine.vae import Latent, encode_in_batches
from imputevae_cli.engine.wide import WideVae, trained_loci
from imputevae_cli.genotypes import missing_per_sample
from imputevae_cli.log import Progress, logger
from imputevae_cli.metrics import log_loss
from imputevae_cli.seeds import seed_for

EXCERPT_LOCI = 600
EXCERPT_SAMPLES = 500
EXCERPT_CELLS = 100
"""Fewer hidden cells in the excerpt decide nothing."""
SMALL = 200_000
"""Up to this many cells (samples x loci), every part is cheap, and the gate alone decides."""
LINKED = 0.8
"""In a larger file, haplotypes that bring the log loss of the frequencies below this share of it stand alone."""
HIDDEN_TELLS = 0.025
"""Where a greater share of the known calls was hidden, the haplotypes are run once more with all of them."""
LATENT_CELLS = 300_000
"""Cells that the encoder is trained on where only the latent is wanted."""


@dataclass(frozen=True)
class Task:
    """What there is to fit, and how.

    cohort: with all its known calls; the hidden ones are hidden in place while parts are fitted.
    validation: hidden cells that fit what is fitted on hidden cells. test: those that only measure.
    """

    cohort: Cohort
    validation: HiddenCells
    test: HiddenCells
    config: Config
    device: torch.device
    progress: Progress
    threads: int
    on_epoch: Callable[[EpochResult], Any] | None = None
    stages: Stages = field(default_factory=Stages)

    @property
    def hidden(self) -> HiddenCells:
        """All hidden cells."""
        return self.validation.and_also(self.test)


def fit_mixture(task: Task) -> tuple[Mixture, np.ndarray]:
    """Fit the parts that `model.decoder` asks for, and the gate; with the probabilities of the test cells, (M, C)."""
    with task.hidden.hidden_in(task.cohort.calls), kernel_threads(1):
        mixture, likeness, test_gp = _fit_on_visible(task)
    if mixture.haplotypes is not None:
        mixture.haplotypes = _with_all_calls(task, likeness, mixture.haplotypes)
    return mixture, test_gp


def _fit_on_visible(task: Task) -> tuple[Mixture, np.ndarray | None, np.ndarray]:
    """The mixture, the likeness that its haplotypes were fitted with, and the probabilities of the test cells."""
    decoder = task.config.model.decoder
    wanted = {FREQUENCIES, GLOBAL, DONORS, HAPLOTYPE} if decoder == "auto" else {decoder}
    notes: list[str] = []
    thrifty = decoder == "auto" and task.cohort.calls.size > SMALL
    copied = glimpse_haplotypes(task) if thrifty else None
    alone = copied is not None and stand_alone(task, copied, notes)
    if alone:
        wanted -= {GLOBAL, DONORS}
    members, thinned, latent = fit_global(
        task, epochs_in_passing(task, alone) if thrifty or GLOBAL not in wanted else None
    )
    near = closeness(latent)
    donors = _fit_donors(task, near) if DONORS in wanted else None
    views: dict[str, View] = {}
    if FREQUENCIES in wanted:
        views[FREQUENCIES] = FrequencyPart.of(task.cohort).cells
    if donors is not None:
        views[DONORS] = asked_together(task.hidden, donors.cells)
    evidence = _gather(task, views)
    if thrifty and not alone:
        idle = _idle_parts(task, evidence, lambda: {GLOBAL: _glimpse_global(task, members, thinned), HAPLOTYPE: copied})
        wanted -= idle.keys()
        notes += idle.values()
    encoder = members[0]  # the donors were fitted with its latent, whatever becomes of the global part
    if GLOBAL in wanted:
        members = members if not thrifty else fit_global(task, None)[0]
        views[GLOBAL] = global_posterior(members, task.cohort, task.config).cells
    # Where the latent was fitted in passing, the genotypes' own correlations make the better copying prior
    likeness = None if thinned is not None else near
    haplotypes = _fit_haplotypes(task, likeness) if HAPLOTYPE in wanted else None
    if haplotypes is not None:
        views[HAPLOTYPE] = lambda cells: pick(cells, task.cohort.n_loci, haplotypes.shown_gp)
    gate, test_gp = _weigh(task, evidence, views)
    for note in [gate.summary(), *notes]:
        logger.info("%s", note)
    donors = donors if DONORS in gate.parts else None
    haplotypes = haplotypes if HAPLOTYPE in gate.parts else None
    members = members if GLOBAL in gate.parts else []
    mixture = Mixture(task.cohort, encoder, thinned, latent, members, donors, haplotypes, gate, notes)
    return mixture, likeness, test_gp


def stand_alone(task: Task, copied: Glimpse, notes: list[str]) -> bool:
    """Whether the haplotypes, on a few stretches, are so good that the global and donor parts can add little."""
    cohort, cells = task.cohort, task.validation.take(copied.places)
    plain = FrequencyPart.of(cohort).cells(cells)
    mixed = np.sqrt(copied.gp * plain)  # either may be too sure; what counts is what they say together
    mixed /= mixed.sum(1, keepdims=True)
    best = min(log_loss(cells.truth, copied.gp), log_loss(cells.truth, mixed))
    ratio = best / log_loss(cells.truth, plain)
    if ratio < LINKED:
        notes.append(
            f"{GLOBAL} and {DONORS} skipped: on a few stretches haplotypes bring the log loss of the "
            f"frequencies down to {ratio:.0%}"
        )
    return ratio < LINKED


def _idle_parts(task: Task, evidence: Evidence, glimpses: Callable[[], dict[str, Glimpse | None]]) -> dict[str, str]:
    """The parts that the gate would not take in beside the others, going by a glimpse of each, and a note on why."""

    def judge() -> dict[str, str]:
        idle = {}
        for name, glimpse in glimpses().items():
            if glimpse is None:
                idle[name] = f"{name} skipped: too few hidden calls to judge it by"
            elif name not in evidence.beside(name, glimpse).gate(task.config.io.seed).parts:
                idle[name] = f"{name} skipped: in a cheap run it adds nothing to the other parts"
        return idle

    return task.stages.run("idle parts", judge)


def _glimpse_global(task: Task, members: list[Member], thinned: np.ndarray | None) -> Glimpse | None:
    """What models fitted on some of the loci say there."""
    cohort = task.cohort
    loci = np.arange(cohort.n_loci) if thinned is None else thinned
    places, inside = task.validation.within(np.arange(len(cohort.calls)), loci)
    if len(places) < EXCERPT_CELLS:
        return None
    some = cohort.with_calls(np.ascontiguousarray(cohort.calls[:, loci]))
    return Glimpse(places, global_posterior(members, some, task.config).cells(inside))


def glimpse_haplotypes(task: Task) -> Glimpse | None:
    """What the haplotypes say on a few stretches; None where too few validation cells lie there to judge by."""
    return task.stages.run_together("glimpse", lambda: _copied_excerpt(task), Glimpse.state, Glimpse.from_state)


def _copied_excerpt(task: Task) -> Glimpse | None:
    cohort = task.cohort
    n_samples, n_loci = cohort.calls.shape
    rng = np.random.default_rng(seed_for(task.config.io.seed, "excerpt"))
    samples = np.sort(rng.choice(n_samples, min(n_samples, EXCERPT_SAMPLES), replace=False))
    loci = two_stretches(n_loci, min(EXCERPT_LOCI, n_loci) // 2)
    small = cohort.excerpt(samples, loci)
    places, inside = task.validation.within(samples, loci)
    if len(places) < EXCERPT_CELLS:
        return None
    quick = HaplotypeDecoder(msgspec.structs.replace(task.config.haplotype, trial=False, chains=1), 0)
    posterior = quick.fit(
        small.calls,
        small.chrom_codes,
        small.positions,
        small.ploidy,
        hidden=HiddenCells.none(),
        threads=task.threads,
        stages=task.stages,
    )
    return Glimpse(places, pick(inside, small.n_loci, posterior.shown_gp))


def epochs_in_passing(task: Task, latent_only: bool) -> int:
    """Epochs of a global part that is fitted in passing."""
    return min(8 if latent_only else 20, task.config.train.max_epochs)


def fit_global(task: Task, epochs: int | None) -> tuple[list[Member], np.ndarray | None, Latent]:
    """The models of the global decoder, the loci that they were trained on (None: all), and the latent.

    epochs: so many, on a thinned file where it is large, for the latent and for a glimpse; None fits in full.
    """
    cohort, config = task.cohort, task.config
    if epochs is not None:
        config = config.replace({"train.ensemble": 1, "train.max_epochs": epochs})
        step = -(-cohort.calls.size // LATENT_CELLS)
        thinned = np.arange(0, cohort.n_loci, step) if step > 1 else None
    else:
        thinned = trained_loci(cohort.n_loci)
    loci = np.arange(cohort.n_loci) if thinned is None else thinned
    _, cells = task.validation.within(np.arange(len(cohort.calls)), loci)
    data = TrainingData(
        calls=torch.from_numpy(cohort.calls if thinned is None else np.ascontiguousarray(cohort.calls[:, loci])),
        n_classes=cohort.ploidy + 1,
        validation=cells,
        populations=cohort.population_tensor,
        n_populations=cohort.n_populations,
    )
    name = "global" if epochs is None else "latent"
    with kernel_threads(task.threads if epochs is None else 1):
        # In passing it is so cheap that the first of several processes fits it, and gets what one by itself would
        members = train_members(
            data, config, task.device, task.progress, task.on_epoch, task.stages, name, together=epochs is None
        )
        populations = None if data.populations is None else data.populations.to(task.device)
        if epochs is None and thinned is not None:
            calls = torch.from_numpy(cohort.calls)
            for member in members:
                member.wide = WideVae.fit(member.model, calls, thinned, populations, config.train.decoder_l2)
    latent = encode_in_batches(members[0].model, data.calls, populations)
    return members, thinned, Latent(latent.mu.cpu(), latent.logvar.cpu())


def _fit_donors(task: Task, near: np.ndarray) -> DonorDecoder:
    cohort = task.cohort
    decoder = DonorDecoder(task.config.donors, seed_for(task.config.io.seed, "donors") % 2**31)
    return decoder.fit(
        cohort.calls,
        cohort.chrom_codes,
        cohort.ploidy,
        populations=cohort.known_populations,
        similarity=near,
        progress=task.progress,
        threads=task.threads,
        stages=task.stages,
    )


def _fit_haplotypes(task: Task, likeness: np.ndarray | None) -> HaplotypePosterior:
    """The haplotypes of the visible calls, calibrated on the validation cells."""

    def fit() -> HaplotypePosterior:
        return _run_haplotypes(task, task.hidden, likeness, None).calibrated(task.validation)

    return _haplotype_stage(task, "haplotypes", task.hidden, fit)


def _with_all_calls(task: Task, likeness: np.ndarray | None, fitted: HaplotypePosterior) -> HaplotypePosterior:
    """The haplotypes once more, from all known calls, where so many were hidden that it tells."""
    calls, n_hidden = task.cohort.calls, len(task.validation.truth) + len(task.test.truth)
    if n_hidden < HIDDEN_TELLS * (calls.size - missing_per_sample(calls).sum()):
        return fitted

    def fit() -> HaplotypePosterior:
        again = _run_haplotypes(task, HiddenCells.none(), likeness, fitted.schedule)
        return replace(again, calibration=fitted.calibration)

    return _haplotype_stage(task, "haplotypes with all calls", HiddenCells.none(), fit)


def _haplotype_stage(
    task: Task, name: str, hidden: HiddenCells, fit: Callable[[], HaplotypePosterior]
) -> HaplotypePosterior:
    calls = task.cohort.calls
    return task.stages.run_together(
        name, fit, HaplotypePosterior.state, lambda state: HaplotypePosterior.from_state(state, calls, hidden)
    )


def _run_haplotypes(
    task: Task, hidden: HiddenCells, likeness: np.ndarray | None, schedule: Schedule | None
) -> HaplotypePosterior:
    cohort = task.cohort
    decoder = HaplotypeDecoder(task.config.haplotype, seed_for(task.config.io.seed, "haplotype") % 2**31)
    return decoder.fit(
        cohort.calls,
        cohort.chrom_codes,
        cohort.positions,
        cohort.ploidy,
        hidden=hidden,
        likeness=likeness,
        schedule=schedule,
        progress=task.progress,
        threads=task.threads,
        stages=task.stages,
    )


def _gather(task: Task, views: Mapping[str, View]) -> Evidence:
    """What `views` say of the validation cells."""
    return task.stages.run(
        "evidence",
        lambda: Evidence.of(task.cohort, views, task.validation),
        Evidence.state,
        partial(Evidence.from_state, task.validation),
    )


def _weigh(task: Task, evidence: Evidence, views: Mapping[str, View]) -> tuple[Gate, np.ndarray]:
    """The gate over the parts, and what it makes of the test cells, float32 (M, C)."""

    def fit() -> tuple[Gate, np.ndarray]:
        gate = evidence.with_all(views).gate(task.config.io.seed)
        tested = Evidence.of(task.cohort, {name: views[name] for name in gate.parts}, task.test)
        return gate, gate.mix(tested.logs, tested.around)

    def state_of(weighed: tuple[Gate, np.ndarray]) -> dict[str, Any]:
        return {"gate": weighed[0].state_dict(), "test_gp": torch.from_numpy(weighed[1])}

    def of_state(state: dict[str, Any]) -> tuple[Gate, np.ndarray]:
        return Gate.from_state_dict(state["gate"]), state["test_gp"].numpy()

    return task.stages.run("gate", fit, state_of, of_state)
