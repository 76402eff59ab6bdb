"""Fitting a model: which parts are worth their cost, the parts themselves, and the gate over them.

Every part sees the same visible calls; the hidden validation cells decide. What a look at a few stretches of the
genome shows to be useless is left out before its cost is paid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import msgspec
import numpy as np
import torch

from imputevae_cli.config import Config, KnnSettings
from imputevae_cli.data.genotypes import missing_per_sample
from imputevae_cli.data.hidden_calls import HiddenCells, pick
from imputevae_cli.decoders.base import Task
from imputevae_cli.decoders.copying.posterior import HaplotypePosterior
from imputevae_cli.decoders.copying.schedule import HIDDEN_TELLS, Schedule
from imputevae_cli.decoders.knn.decoder import KnnModel
from imputevae_cli.decoders.registry import haplotype_decoder
from imputevae_cli.decoders.vae.network import Latent, encode_in_batches
from imputevae_cli.decoders.vae.train import train_members
from imputevae_cli.decoders.vae.train_data import TrainingData, population_tensor
from imputevae_cli.decoders.vae.training_state import Member
from imputevae_cli.decoders.vae.untrained_loci import WideVae, trained_loci
from imputevae_cli.ensemble import screen as glimpses
from imputevae_cli.ensemble.ensemble import (
    DONORS,
    FREQUENCIES,
    GLOBAL,
    HAPLOTYPE,
    FrequencyPart,
    Mixture,
    closeness,
    global_posterior,
    global_rows,
    log_of,
)
from imputevae_cli.ensemble.gate import Gate
from imputevae_cli.ensemble.held_out import Evidence, Glimpse, View, asked_together
from imputevae_cli.log import logger
from imputevae_cli.runtime.device import kernel_threads
from imputevae_cli.seeds import seed_for

SMALL = 200_000
"""Up to this many cells (samples x loci), every part is cheap, and the gate alone decides."""
GLOBAL_SHARES = (0.05, 0.2, 0.5)
"""Copying priors of the global state, tried one after the other while each beats the one before."""
LATENT_CELLS = 300_000
"""Cells that the encoder is trained on where only the latent is wanted."""


@dataclass(frozen=True)
class Given:
    """What the haplotypes are given by the parts that were fitted before them.

    likeness: float32 (N, N) that a copying prior may be fitted on, or None. members: the models of the global
    decoder, for one more state to copy from; none where it was not fitted in full, or is not asked for.
    """

    likeness: np.ndarray | None
    members: list[Member]


def fit_mixture(task: Task) -> tuple[Mixture, np.ndarray]:
    """Fit the parts that `model.decoder` asks for, and the gate; with the probabilities of the test cells, (M, C)."""
    with task.hidden.hidden_in(task.cohort.calls), kernel_threads(1):
        mixture, given, test_gp = _fit_on_visible(task)
    if mixture.haplotypes is not None:
        mixture.haplotypes = _with_all_calls(task, given, mixture.haplotypes)
    return mixture, test_gp


def _fit_on_visible(task: Task) -> tuple[Mixture, Given, np.ndarray]:
    """The mixture, what its haplotypes were fitted with, and the probabilities of the test cells."""
    decoder = task.config.model.decoder
    wanted = {FREQUENCIES, GLOBAL, DONORS, HAPLOTYPE} if decoder == "auto" else {decoder}
    notes: list[str] = []
    thrifty = decoder == "auto" and task.cohort.calls.size > SMALL
    copied = glimpses.of_haplotypes(task) if thrifty else None
    outdone = glimpses.outdone(task, copied, notes) if copied is not None else set()
    wanted -= outdone
    in_full = not thrifty and needs_global(task.config, wanted)
    members, thinned, latent = fit_global(task, None if in_full else epochs_in_passing(task, GLOBAL in outdone))
    near = closeness(latent) if DONORS in wanted or thinned is None else None
    donors = _fit_donors(task, near, donor_settings(task.config, outdone)) if DONORS in wanted else None
    views: dict[str, View] = {}
    if FREQUENCIES in wanted:
        views[FREQUENCIES] = FrequencyPart.of(task.cohort).cells
    if donors is not None:
        views[DONORS] = asked_together(task.hidden, donors.cells)
    evidence = _gather(task, views)
    if thrifty and not outdone:
        idle = _idle_parts(
            task, evidence, lambda: {GLOBAL: glimpses.of_global(task, members, thinned), HAPLOTYPE: copied}
        )
        wanted -= idle.keys()
        notes += idle.values()
    encoder = members[0]  # the donors were fitted with its latent, whatever becomes of the global part
    if GLOBAL in wanted:
        members = members if not thrifty else fit_global(task, None)[0]
        views[GLOBAL] = global_posterior(members, task.cohort, task.config).cells
    # Where the latent was fitted in passing, the genotypes' own correlations make the better copying prior
    given = Given(None if thinned is not None else near, _members_to_copy(task, wanted, members, notes))
    haplotypes = _fit_haplotypes(task, given, notes) if HAPLOTYPE in wanted else None
    if haplotypes is not None:
        views[HAPLOTYPE] = lambda cells: pick(cells, task.cohort.n_loci, haplotypes.shown_gp)
    gate, test_gp = _weigh(task, evidence, views)
    for note in [gate.summary(), *notes]:
        logger.debug("%s", note)
    donors = donors if DONORS in gate.parts else None
    haplotypes = haplotypes if HAPLOTYPE in gate.parts else None
    members = members if GLOBAL in gate.parts else []
    mixture = Mixture(task.cohort, encoder, thinned, latent, members, donors, haplotypes, gate, notes)
    return mixture, given, test_gp


def needs_global(config: Config, wanted: set[str]) -> bool:
    """Whether the global decoder is to be fitted in full: for itself, or for haplotypes that stand alone by wish."""
    return GLOBAL in wanted or (wanted == {HAPLOTYPE} and config.copying.global_share != 0)


def _members_to_copy(task: Task, wanted: set[str], members: list[Member], notes: list[str]) -> list[Member]:
    """The global models that haplotypes are to copy from."""
    if task.config.copying.global_share == 0 or HAPLOTYPE not in wanted:
        return []
    if not needs_global(task.config, wanted):
        notes.append(f"{HAPLOTYPE} does without the global state: {GLOBAL} was not fitted in full")
        return []
    return members


def _idle_parts(task: Task, evidence: Evidence, glimpses: Callable[[], dict[str, Glimpse | None]]) -> dict[str, str]:
    """The parts that the gate would not take in beside the others, going by a glimpse of each, and a note on why.

    Without one the haplotypes are given their chance, as too much can hang on them, and the global part is not.
    """

    def judge() -> dict[str, str]:
        idle = {}
        for name, glimpse in glimpses().items():
            if glimpse is None and name == GLOBAL:
                idle[name] = f"{name} skipped: too few hidden calls to judge it by"
            elif glimpse is not None and name not in evidence.beside(name, glimpse).gate(task.config.io.seed).parts:
                idle[name] = f"{name} skipped: in a cheap run it adds nothing to the other parts"
        return idle

    return task.stages.run("idle parts", judge)


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
        calls=torch.from_numpy(cohort.calls),
        n_classes=cohort.ploidy + 1,
        validation=cells,
        populations=population_tensor(cohort),
        n_populations=cohort.n_populations,
        loci=None if thinned is None else torch.from_numpy(thinned),
    )
    name = "vae" if epochs is None else "latent"
    with kernel_threads(task.threads if epochs is None else 1):
        # In passing it is so cheap that the first of several processes fits it, and gets what one by itself would
        members = train_members(
            data, config, task.device, task.progress, task.on_epoch, task.stages, name, together=epochs is None
        )
        populations = None if data.populations is None else data.populations.to(task.device)
        if epochs is None and thinned is not None:
            for member in members:
                member.wide = WideVae.fit(member.model, data.calls, data.loci, populations, config.train.decoder_l2)
    latent = encode_in_batches(members[0].model, data.calls, populations, data.loci)
    return members, thinned, Latent(latent.mu.cpu(), latent.logvar.cpu())


def donor_settings(config: Config, outdone: set[str]) -> KnnSettings:
    """How to train the donors: for half as long where haplotypes have outdone another part, and do most themselves."""
    settings = config.knn
    return msgspec.structs.replace(settings, steps=max(1, settings.steps // 2)) if outdone else settings


def _fit_donors(task: Task, near: np.ndarray, settings: KnnSettings) -> KnnModel:
    cohort = task.cohort
    decoder = KnnModel(settings, seed_for(task.config.io.seed, "donors") % 2**31)
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


def _fit_haplotypes(task: Task, given: Given, notes: list[str]) -> HaplotypePosterior:
    """The haplotypes of the visible calls, calibrated on the validation cells, which choose the share of the global
    state where it is left open."""
    rows = global_rows(given.members, task.cohort, task.config) if given.members else None

    def fitted(name: str, schedule: Schedule | None, rows: np.ndarray | None) -> HaplotypePosterior:
        def fit() -> HaplotypePosterior:
            posterior = _run_haplotypes(task, task.hidden, given.likeness, schedule, rows)
            return posterior.calibrated(task.validation)

        return _haplotype_stage(task, name, task.hidden, fit)

    if rows is None:
        return fitted("haplotypes", None, None)
    if task.config.copying.global_share is not None:
        return fitted("haplotypes with the global state", None, rows)
    best = fitted("haplotypes", None, None)
    losses = _validation_losses(task, best)
    if len(losses) < glimpses.EXCERPT_CELLS:
        return best
    for number, share in enumerate(GLOBAL_SHARES):
        schedule = replace(best.schedule, global_share=share)
        other = fitted(f"haplotypes with the global state {number}", schedule, rows)
        other_losses = _validation_losses(task, other)
        gain = losses - other_losses
        if gain.mean() <= gain.std() / np.sqrt(len(gain)):  # by a standard error
            break
        best, losses = other, other_losses
    share = best.schedule.global_share
    notes.append(
        f"{HAPLOTYPE} copies from the global state with a prior of {share:g}"
        if share
        else f"{HAPLOTYPE} does without the global state: it adds nothing on hidden calls"
    )
    return best


def _validation_losses(task: Task, haplotypes: HaplotypePosterior) -> np.ndarray:
    """Log loss of each validation cell, float (M,)."""
    gp = pick(task.validation, task.cohort.n_loci, haplotypes.shown_gp)
    return -log_of(gp[np.arange(len(gp)), task.validation.truth])


def _with_all_calls(task: Task, given: Given, fitted: HaplotypePosterior) -> HaplotypePosterior:
    """The haplotypes once more, from all known calls, where so many were hidden that it tells."""
    calls, n_hidden = task.cohort.calls, len(task.validation.truth) + len(task.test.truth)
    if n_hidden < HIDDEN_TELLS * (calls.size - missing_per_sample(calls).sum()):
        return fitted

    def fit() -> HaplotypePosterior:
        copies = given.members and fitted.schedule.global_share > 0
        rows = global_rows(given.members, task.cohort, task.config) if copies else None
        again = _run_haplotypes(task, HiddenCells.none(), given.likeness, fitted.schedule, rows)
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
    task: Task,
    hidden: HiddenCells,
    likeness: np.ndarray | None,
    schedule: Schedule | None,
    rows: np.ndarray | None,
) -> HaplotypePosterior:
    cohort = task.cohort
    decoder = haplotype_decoder(task.config.copying, seed_for(task.config.io.seed, "haplotype") % 2**31)
    return decoder.fit(
        cohort.calls,
        cohort.chrom_codes,
        cohort.positions,
        cohort.ploidy,
        hidden=hidden,
        likeness=likeness,
        global_rows=rows,
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
