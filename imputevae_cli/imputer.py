"""The Python API: fit on genotypes, fill the missing calls of these or of others, save and load."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from imputevae_cli import __version__
from imputevae_cli.config import Config
from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.evidence import Evidence
from imputevae_cli.data.genotypes import GenotypeMatrix
from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.data.match_loci import Alignment, align_loci
from imputevae_cli.data.ploidy import check_ploidy
from imputevae_cli.decoders import registry
from imputevae_cli.decoders.base import Context, EpochResult, Task
from imputevae_cli.decoders.rules import Rules
from imputevae_cli.decoders.vae.network import Latent
from imputevae_cli.ensemble.expected import Expected, ScoredCells
from imputevae_cli.ensemble.fit import fit_ensemble
from imputevae_cli.ensemble.fitted import Fitted
from imputevae_cli.ensemble.forecast import forecast
from imputevae_cli.ensemble.plan import Data, takes_part
from imputevae_cli.ensemble.view import View
from imputevae_cli.errors import CheckpointError, ConfigError, InputError
from imputevae_cli.estimator import Estimator
from imputevae_cli.imputed import ImputedGenotypes
from imputevae_cli.log import ProgressOption, chosen_progress, logger
from imputevae_cli.masking.strategies import Mask, simulate_mask
from imputevae_cli.runtime.checkpoint import load_checkpoint, save_checkpoint
from imputevae_cli.runtime.cost import Cost
from imputevae_cli.runtime.device import check_precision, choose_device
from imputevae_cli.runtime.resumable import Stages
from imputevae_cli.runtime.run_options import RunOptions
from imputevae_cli.scoring.metrics import ConfidencePoint
from imputevae_cli.seeds import seed_for

FORECAST_LOCI = 400
"""Loci that are filled to estimate how long a fitted model takes to fill all."""


class ImputeVAE(Estimator):
    """Fills in missing genotypes with a variational autoencoder.

    >>> model = ImputeVAE(Config.from_preset("balanced")).fit(read_vcf("cohort.vcf.gz"))  # doctest: +SKIP
    >>> model.transform().write("imputed.vcf.gz")  # doctest: +SKIP

    It keeps to the conventions of scikit-learn: it can be cloned and be a step of a pipeline, and `fit` and `transform`
    take arrays too; what `transform` gives is an array of dosages to whatever step comes next.
    """

    def __init__(self, config: Config | None = None, rules: Rules | None = None):
        """rules: thresholds by which a fit decides what is worth its cost; the defaults suit all but tests."""
        self.rules = rules or Rules()
        self.config = (config or Config()).checked()
        self._fitted: Fitted | None = None
        self._training_genotypes: GenotypeMatrix | None = None
        self.name = "the model"

    def fit(
        self,
        genotypes: GenotypeMatrix | Any,
        y: Any = None,
        *,
        progress: ProgressOption = None,
        on_epoch: Callable[[EpochResult], Any] | None = None,
        stages: Stages | None = None,
    ) -> ImputeVAE:
        """Train on the known calls of `genotypes`; some are hidden to weigh the parts of the model and to score it.

        genotypes: or what `GenotypeMatrix.from_array`, `from_dataframe` or `from_sgkit` takes. y: not used. Threads are
        torch's. The hidden calls are hidden in `genotypes` itself and put back at the end: no other thread may use it
        meanwhile. stages: a `Journal`, for a fit that can be stopped and resumed. Raises ConfigError for settings that
        do not hold, InputError for too few known calls, TrainingError.
        """
        genotypes = GenotypeMatrix.of(genotypes)
        mask, names, task = self._task(genotypes, progress, on_epoch, stages)
        scored = ScoredCells.of(task)
        ensemble, hidden_gp, unaided = fit_ensemble(task, beside=partial(scored.unaided, task))
        expected, curve = scored.result(task, ensemble, hidden_gp, unaided)
        self._fitted = Fitted(genotypes.loci, genotypes.samples, names, ensemble, mask, expected, curve)
        self._training_genotypes = genotypes
        return self

    def _task(
        self,
        genotypes: GenotypeMatrix,
        progress: ProgressOption,
        on_epoch: Callable[[EpochResult], Any] | None,
        stages: Stages | None,
    ) -> tuple[Mask, tuple[str, ...], Task]:
        """What there is to fit, with the hidden calls and the populations' names."""
        config = self.config = self.config.checked()
        genotypes.check()
        check_ploidy(genotypes, config.io.ploidy)
        device = choose_device(config.train.device)
        check_precision(device, config.train.precision)
        mask = _mask_of(genotypes, config)
        names, codes = _population_codes(genotypes.populations)
        cohort = _cohort_of(genotypes, codes, len(names), _evidence_for(genotypes, config))
        validation, test = (
            HiddenCells.at(mask.cells[some], cohort.calls, cohort.evidence) for some in (mask.fits, ~mask.fits)
        )
        task = Task(
            cohort,
            validation,
            test,
            config,
            device,
            chosen_progress(progress),
            threads=torch.get_num_threads(),
            on_epoch=on_epoch,
            stages=stages or Stages(),
            rules=self.rules,
            samples=genotypes.samples,
            populations=names,
        )
        task.rows_of(config.founders.parents)  # a wrong name is told whether founders are fitted or not
        return mask, names, task

    def transform(
        self,
        genotypes: GenotypeMatrix | Any | None = None,
        *,
        min_gp: float = 0.0,
        phased: bool = False,
        refine: bool = False,
        call: str = "map",
        progress: ProgressOption = None,
        stages: Stages | None = None,
    ) -> ImputedGenotypes:
        """Fill the missing calls of `genotypes`, or of those that were fitted; the same each time it is called.

        min_gp: a filled call whose best probability is under this stays missing. phased: write `|`, in the phase
        that haplotype copying found. refine: rewrite visible calls whose posterior says otherwise, where the
        genotypes have evidence that is not certain. call: "map" calls the likeliest genotype, "dosage" the one nearest
        to the dosage; GP and DS are the same. stages: see `fit`. Raises CheckpointError when too few of the loci
        are known to the model; ConfigError where phase is asked for and there is none.
        """
        fitted = self._require_fitted()
        genotypes = self._training_genotypes if genotypes is None else GenotypeMatrix.of(genotypes)
        if genotypes is None:
            raise InputError("transform: a loaded model holds no genotypes; give those to fill")
        genotypes.check()
        aligned = align_loci(genotypes, fitted.loci, fitted.ploidy, self.name)
        if aligned.n_unknown:
            logger.warning(
                "loci that are not in the model pass through unchanged: %d of %d", aligned.n_unknown, genotypes.n_loci
            )
        if refine and not aligned.genotypes.calls_are_uncertain:
            logger.warning("refine has no effect: without likelihoods or read counts every visible call is certain")
        view = self._view(aligned, progress, stages)
        phase = None
        if phased:
            check_phasing(aligned.genotypes.ploidy)
            if view.mixed.phased is None:
                raise ConfigError(
                    "phased output needs haplotype copying, which this model left out; "
                    "set model.decoder=copying or leave --phased out"
                )
            phase = view.phase
        return ImputedGenotypes(
            aligned.genotypes, view.gp, min_gp, phase, view.has_calls, refine=refine, draws=view.draws, call=call
        )

    def min_gp_for(self, accuracy: float) -> ConfidencePoint:
        """The least threshold on GP that should give filled calls of this accuracy, and what it keeps.

        Judged by the hidden calls, for the missing ones. Raises ConfigError where no threshold gets there.
        """
        curve = self.confidence_curve
        for point in curve:
            if point.accuracy >= accuracy:
                return point
        best = max(curve, key=lambda point: point.accuracy)
        raise ConfigError(
            f"no threshold should give an accuracy of {accuracy:g} on these data; the best is {best.accuracy:.4f}, "
            f"with --min-gp {best.min_gp:.2f}"
        )

    def _view(self, aligned: Alignment, progress: ProgressOption, stages: Stages | None) -> View:
        """The model's view of a file: samples of the fit are as the fit has them, others are filled anew."""
        fitted, threads = self._require_fitted(), torch.get_num_threads()
        device = choose_device(self.config.train.device)
        options = RunOptions(threads, device, chosen_progress(progress), stages or Stages())
        context = Context(self.config, {}, options)
        rows = fitted.rows_of(aligned.genotypes.samples, aligned.calls, aligned.seen)
        if rows is not None:
            return View(fitted.ensemble.fill(context), rows, aligned)
        others = self._cohort(aligned)
        index = aligned.model_index
        wanted = (int(index.min()), int(index.max()) + 1) if len(index) else (0, 1)
        mixed = fitted.ensemble.fill_others(others, replace(context, wanted=wanted))
        return View(mixed, np.arange(len(others.calls)), aligned)

    def _cohort(self, aligned: Alignment) -> Cohort:
        """A file's samples at the model's loci."""
        fitted = self._require_fitted()
        evidence = None if fitted.ensemble.cohort.evidence is None else aligned.evidence
        codes = fitted.codes_for(aligned.genotypes)
        cohort = replace(fitted.ensemble.cohort, calls=aligned.calls, populations=codes)
        return replace(cohort, evidence=evidence, haploid=aligned.haploid)

    def forecast(self, genotypes: GenotypeMatrix) -> Cost:
        """Time and memory that fitting (unless fitted) and filling would take, about, from a run on some of the data.

        The context of a region is left out.
        """
        genotypes = genotypes.at_loci(~genotypes.is_context)
        if not genotypes.n_loci:
            return Cost(0.0, 0)
        if self._fitted is None:
            return forecast(self._task(genotypes, None, None, None)[2])
        n_loci = min(FORECAST_LOCI, genotypes.n_loci)
        part = genotypes.at_loci(np.arange(genotypes.n_loci) < n_loci)
        start = time.monotonic()
        for _ in self.transform(part).blocks():
            pass
        return Cost((time.monotonic() - start) * genotypes.n_loci / n_loci, 2 * genotypes.calls.size)

    @property
    def expected(self) -> Expected:
        """Accuracy to be expected of the filled calls, from calls that the fit hid and those that are missing."""
        return self._require_fitted().expected

    @property
    def confidence_curve(self) -> list[ConfidencePoint]:
        """What thresholds on GP keep, and how much of that is right, on the same calls."""
        return self._require_fitted().curve

    @property
    def history(self) -> list[EpochResult]:
        """Every epoch of the encoder and of every other model of the global part."""
        return self._require_fitted().ensemble.having("history").history

    def latent_of(self, genotypes: GenotypeMatrix | None = None) -> Latent:
        """q(z | x) of samples from their known calls: mu and log variance, float32 (N, D) each."""
        genotypes = self._training_genotypes if genotypes is None else GenotypeMatrix.of(genotypes)
        fitted = self._require_fitted()
        if genotypes is None:
            raise InputError("latent_of: a loaded model holds no genotypes; give those to place")
        aligned = align_loci(genotypes, fitted.loci, fitted.ploidy, self.name)
        return fitted.ensemble.having("latent_of").latent_of(self._cohort(aligned))

    @property
    def parts(self) -> str:
        """What the gate chose, and why: the weight of each part, and the reason for each that was left out."""
        ensemble = self._require_fitted().ensemble
        return "; ".join([ensemble.gate.summary(), *ensemble.notes])

    @property
    def part_names(self) -> tuple[str, ...]:
        """The parts that the gate kept: "frequencies", "vae", "knn", "copying"."""
        return self._require_fitted().ensemble.gate.parts

    @property
    def learned_settings(self) -> dict[str, Any]:
        """Dotted settings that were left to rules and trials, and what these made of them."""
        return self._require_fitted().ensemble.learned_settings()

    @property
    def part_shares(self) -> dict[str, float]:
        """The mean weight of each part that the gate kept."""
        return self._require_fitted().ensemble.gate.shares

    @property
    def parts_left_out(self) -> dict[str, str]:
        """Parts that were fitted and that the gate left out: name -> reason."""
        return self._require_fitted().ensemble.gate.dropped

    @property
    def parts_screened_out(self) -> tuple[str, ...]:
        """Parts that suit the data and were left out before they were fitted in full."""
        ensemble = self._require_fitted().ensemble
        data = Data(ensemble.cohort.calls.size, ensemble.cohort.evidence is not None, ensemble.cohort.ploidy)
        known = (*self.part_names, *self.parts_left_out)
        return tuple(n for n, one in registry.every().items() if takes_part(one.role, data) and n not in known)

    @property
    def trained_samples(self) -> tuple[str, ...]:
        """Names of the samples that the fit saw; none where the checkpoint was saved without them."""
        return self._require_fitted().samples

    @property
    def mask(self) -> Mask:
        """The calls that were missing and those that the fit hid."""
        return self._require_fitted().mask

    def save(self, path: str | Path, command: str = "", *, panel: bool = True) -> None:
        """Write a checkpoint, whole or not at all. panel: whether the training samples' calls go into it.

        Raises ConfigError where the model has parts that need the panel and it is to be left out.
        """
        fitted = self._require_fitted()
        own = {"software_version": __version__, "command": command, "config": self.config.to_share()}
        save_checkpoint(path, own | (fitted if panel else fitted.without_panel()).state())

    @classmethod
    def load(cls, path: str | Path, device: str | None = None) -> ImputeVAE:
        """Read a checkpoint. device: overrides the checkpoint's train.device.

        Raises CheckpointError, naming the file; ConfigError for a device that is not there.
        """
        content = load_checkpoint(path)
        try:
            config = Config.from_dict(content["config"])
        except (ConfigError, AttributeError) as error:
            raise CheckpointError(
                f"{path}: holds settings that do not serve ({error}); it was made by imputevae "
                f"{content['software_version']}, use that version or train it again"
            ) from error
        if device is not None:
            config.train.device = device  # type: ignore[assignment]  # `choose_device` looks at it
        model = cls(config)
        model.name = str(path)
        try:
            model._fitted = Fitted.from_state(content, config)
        except (AttributeError, KeyError, TypeError, ValueError, RuntimeError, IndexError, CheckpointError) as error:
            raise CheckpointError(f"{path}: does not hold together ({type(error).__name__}); train it again") from error
        return model

    def __sklearn_is_fitted__(self) -> bool:
        return self._fitted is not None

    def _require_fitted(self) -> Fitted:
        if self._fitted is None:
            raise CheckpointError("the model is not fitted; call fit() or load() first")
        return self._fitted


def check_phasing(ploidy: int) -> None:
    """Raise ConfigError for genotypes that nothing here phases."""
    if ploidy > 2:
        raise ConfigError(
            f"--phased: haplotype copying, which finds the phase, models two haplotypes of a sample, and here each has "
            f"{ploidy}; leave --phased out, and phase the output by its reads, with WhatsHap polyphase for example"
        )


def _mask_of(genotypes: GenotypeMatrix, config: Config) -> Mask:
    """The known calls that a fit hides. Raises ConfigError where there are none to fit on, or none to test with."""
    generator = np.random.default_rng(seed_for(config.io.seed, "mask"))
    mask = simulate_mask(genotypes, config.sim, config.train.validation_split, generator)
    if mask.fits.all() or not mask.fits.any():
        raise ConfigError(
            f"train.validation_split is {config.train.validation_split:g}: of {len(mask.fits)} hidden calls it "
            "leaves none to fit on, or none to test with; give a share such as 0.5"
        )
    return mask


def _cohort_of(
    genotypes: GenotypeMatrix, codes: np.ndarray | None, n_populations: int, evidence: Evidence | None
) -> Cohort:
    """The genotypes as decoders are fitted on them. codes: see `Cohort.populations`."""
    loci, calls = genotypes.loci, genotypes.calls
    calls = calls if calls.flags.writeable else calls.copy()  # hidden ones are hidden in place, and put back
    return Cohort(
        calls,
        loci.chrom_codes,
        loci.positions,
        genotypes.ploidy,
        codes,
        n_populations,
        evidence,
        genotypes.haploid,
        loci.several,
    )


def _evidence_for(genotypes: GenotypeMatrix, config: Config) -> Evidence | None:
    """What the fit goes by beside the calls: nothing where these are certain, or the decoder that is asked for goes by
    calls alone."""
    decoder = config.model.decoder
    if not genotypes.calls_are_uncertain:
        return None
    if decoder != "auto" and registry.get(decoder).role.on_evidence == "never":
        logger.warning("model.decoder=%s takes each call as certain; use auto, to go by the reads", decoder)
        return None
    return genotypes.evidence


def _population_codes(populations: np.ndarray | None) -> tuple[tuple[str, ...], np.ndarray | None]:
    """Names in order and int64 (N,) codes; nothing where there are fewer than two populations to tell apart."""
    if populations is None or len(set(populations)) < 2:
        return (), None
    names, codes = np.unique(populations.astype(str), return_inverse=True)
    return tuple(names.tolist()), codes.astype(np.int64)
