"""The Python API: fit on genotypes, fill the missing calls of these or of others, save and load."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from imputevae_cli import __version__, baselines
from imputevae_cli.alignment import align_loci
from imputevae_cli.config import Config
from imputevae_cli.engine.checkpoint import load_checkpoint, save_checkpoint
from imputevae_cli.engine.device import choose_device
from imputevae_cli.engine.posterior import VaePosterior, fit_temperature
from imputevae_cli.engine.trainer import (
    EpochResult,
    HiddenCells,
    Member,
    TrainingData,
    member_from_state,
    member_state,
    train_members,
)
from imputevae_cli.errors import CheckpointError, ConfigError, InputError
from imputevae_cli.genotypes import MISSING, GenotypeMatrix, Loci
from imputevae_cli.imputed import ImputedGenotypes
from imputevae_cli.log import NullProgress, Progress, logger
from imputevae_cli.masking import Mask, simulate_mask
from imputevae_cli.metrics import Accuracy, accuracy
from imputevae_cli.seeds import seed_for


@dataclasses.dataclass(frozen=True)
class Expected:
    """Accuracy on calls that were hidden from the fit, the model beside what needs no model.

    baseline: genotype frequencies of each sample's population, or of all samples without a popmap.
    """

    model: Accuracy
    baseline: Accuracy


@dataclasses.dataclass
class _Fitted:
    """What a fit leaves behind, and a checkpoint holds.

    population_names: codes 0.. stand for these. population_codes: int64 (N,), of the training samples, or None.
    """

    loci: Loci
    ploidy: int
    samples: tuple[str, ...]
    population_names: tuple[str, ...]
    population_codes: np.ndarray | None
    members: list[Member]
    temperature: float
    mask: Mask
    expected: Expected


class ImputeVAE:
    """Fills in missing genotypes with a variational autoencoder.

    >>> model = ImputeVAE(Config.from_preset("balanced")).fit(read_vcf("cohort.vcf.gz"))
    >>> model.transform().write_vcf("imputed.vcf.gz")
    """

    def __init__(self, config: Config | None = None):
        self.config = (config or Config()).checked()
        self._fitted: _Fitted | None = None
        self._training_genotypes: GenotypeMatrix | None = None
        self.name = "the model"

    def fit(
        self,
        genotypes: GenotypeMatrix,
        progress: Progress | None = None,
        on_epoch: Callable[[EpochResult], Any] | None = None,
    ) -> ImputeVAE:
        """Train on the known calls of `genotypes`; some are hidden to stop the training and to score it.

        Raises ConfigError for settings that do not hold, InputError for too few known calls, TrainingError.
        """
        config = self.config = self.config.checked()
        _check_ploidy(genotypes, config)
        device = choose_device(config.train.device)
        generator = np.random.default_rng(seed_for(config.io.seed, "mask"))
        sim = config.sim
        mask = simulate_mask(genotypes, sim.sim_strategy, sim.sim_prop, config.train.validation_split, generator)
        visible = np.where(mask.hidden, np.int8(MISSING), genotypes.calls)
        names, codes = _population_codes(genotypes.populations)
        data = TrainingData(
            calls=torch.from_numpy(visible),
            n_classes=genotypes.n_classes,
            validation=_cells(mask.validation, genotypes),
            populations=None if codes is None else torch.from_numpy(codes),
            n_populations=len(names),
        )
        members = train_members(data, config, device, progress or NullProgress(), on_epoch)
        posterior = self._posterior(members, visible, codes)
        temperature = fit_temperature(posterior.cells(data.validation), data.validation.truth)
        posterior = self._posterior(members, visible, codes, temperature)
        expected = self._expected(genotypes, mask, visible, codes, posterior)
        self._fitted = _Fitted(
            genotypes.loci, genotypes.ploidy, genotypes.samples, names, codes, members, temperature, mask, expected
        )
        self._training_genotypes = genotypes
        return self

    def transform(self, genotypes: GenotypeMatrix | None = None, *, min_gp: float = 0.0) -> ImputedGenotypes:
        """Fill the missing calls of `genotypes`, or of those that were fitted; the same each time it is called.

        Raises CheckpointError when too few of the loci are known to the model.
        """
        fitted = self._require_fitted()
        genotypes = self._training_genotypes if genotypes is None else genotypes
        if genotypes is None:
            raise InputError("transform: a loaded model holds no genotypes; give those to fill")
        aligned = align_loci(genotypes, fitted.loci, fitted.ploidy, self.name)
        if aligned.n_unknown:
            logger.warning(
                "%d of %d loci are not in the model and pass through unchanged", aligned.n_unknown, genotypes.n_loci
            )
        codes = self._codes_for(aligned.genotypes)
        posterior = self._posterior(fitted.members, aligned.calls, codes, fitted.temperature)
        index, swapped = aligned.model_index, aligned.swapped

        def gp(start: int, stop: int) -> np.ndarray:
            probabilities = posterior.gp(index[start:stop])
            flip = swapped[start:stop]
            if flip.any():
                probabilities[:, flip] = probabilities[:, flip, ::-1]
            return probabilities

        return ImputedGenotypes(aligned.genotypes, gp, min_gp)

    def estimate_seconds(self, genotypes: GenotypeMatrix) -> float:
        """Seconds that fitting and filling would take at most: one epoch is run and scaled up, then all is filled."""
        train = self.config.train
        start = time.monotonic()
        fitted = self._fitted is not None
        trial = self if fitted else ImputeVAE(self.config.replace({"train.max_epochs": 1, "train.ensemble": 1}))
        if not fitted:
            trial.fit(genotypes)
        epochs_done = time.monotonic()
        imputed = trial.transform(genotypes)
        for _ in imputed.blocks():
            pass
        filled = time.monotonic()
        repeats = 1 if fitted else train.max_epochs * train.ensemble
        return (epochs_done - start) * repeats + (filled - epochs_done) * (1 if fitted else train.ensemble)

    @property
    def expected(self) -> Expected:
        """Accuracy on the calls that the fit hid and nothing was fitted on."""
        return self._require_fitted().expected

    @property
    def history(self) -> list[EpochResult]:
        """Every epoch of every member, in the order they ran."""
        return [result for member in self._require_fitted().members for result in member.history]

    @property
    def mask(self) -> Mask:
        """The calls that were missing and those that the fit hid."""
        return self._require_fitted().mask

    def save(self, path: str | Path, command: str = "") -> None:
        """Write a checkpoint, whole or not at all."""
        fitted = self._require_fitted()
        masks = {name: _packed(getattr(fitted.mask, name)) for name in ("missing", "hidden", "validation")}
        loci = fitted.loci
        save_checkpoint(
            path,
            {
                "software_version": __version__,
                "command": command,
                "config": self.config.to_dict(),
                "loci": {
                    "chrom": [str(c) for c in loci.chrom],
                    "pos": torch.from_numpy(np.ascontiguousarray(loci.pos)),
                    "ref": [str(a) for a in loci.ref],
                    "alt": [str(a) for a in loci.alt],
                },
                "ploidy": fitted.ploidy,
                "samples": list(fitted.samples),
                "population_names": list(fitted.population_names),
                "population_codes": None
                if fitted.population_codes is None
                else torch.from_numpy(fitted.population_codes),
                "masks": masks,
                "members": [member_state(member) for member in fitted.members],
                "temperature": fitted.temperature,
                "expected": dataclasses.asdict(fitted.expected),
            },
        )

    @classmethod
    def load(cls, path: str | Path, device: str | None = None) -> ImputeVAE:
        """Read a checkpoint. device: overrides the checkpoint's train.device. Raises CheckpointError."""
        content = load_checkpoint(path)
        try:
            config = Config.from_dict(content["config"])
        except (ConfigError, AttributeError) as error:
            raise CheckpointError(
                f"{path}: holds settings that do not serve ({error}); it was made by imputevae "
                f"{content['software_version']}, use that version or train it again"
            ) from error
        if device is not None:
            config.train.device = device
        model = cls(config)
        model.name = str(path)
        try:
            model._fitted = _fitted_from(content, config)
        except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"{path}: does not hold together ({type(error).__name__}); train it again") from error
        return model

    def _posterior(
        self, members: list[Member], calls: np.ndarray, codes: np.ndarray | None, temperature: float = 1.0
    ) -> VaePosterior:
        return VaePosterior(
            [member.model for member in members],
            torch.from_numpy(calls),
            None if codes is None else torch.from_numpy(codes),
            draws=self.config.vae.draws,
            seed=self.config.io.seed,
            temperature=temperature,
        )

    def _expected(
        self,
        genotypes: GenotypeMatrix,
        mask: Mask,
        visible: np.ndarray,
        codes: np.ndarray | None,
        posterior: VaePosterior,
    ) -> Expected:
        cells = _cells(mask.test, genotypes)
        truth, samples, loci = cells.truth.numpy(), cells.samples.numpy(), cells.loci.numpy()
        means = baselines.locus_means(visible)[loci]
        frequencies = baselines.genotype_frequencies(visible, genotypes.n_classes, codes)
        populations = np.zeros(len(truth), int) if codes is None else codes[samples]
        averaging = self.config.io.scoring_averaging
        return Expected(
            accuracy(truth, posterior.cells(cells).numpy(), means, averaging),
            accuracy(truth, frequencies[populations, loci], means, averaging),
        )

    def _codes_for(self, genotypes: GenotypeMatrix) -> np.ndarray | None:
        """Population codes for the samples: by popmap, else by the training samples' names, else none."""
        fitted = self._require_fitted()
        if not fitted.population_names:
            return None
        none = len(fitted.population_names)
        code_of = {name: code for code, name in enumerate(fitted.population_names)}
        if genotypes.populations is not None:
            return np.array([code_of.get(name, none) for name in genotypes.populations], np.int64)
        by_sample = dict(zip(fitted.samples, fitted.population_codes.tolist(), strict=True))
        return np.array([by_sample.get(name, none) for name in genotypes.samples], np.int64)

    def _require_fitted(self) -> _Fitted:
        if self._fitted is None:
            raise CheckpointError("the model is not fitted; call fit() or load() first")
        return self._fitted


def _check_ploidy(genotypes: GenotypeMatrix, config: Config) -> None:
    if config.io.ploidy not in (None, genotypes.ploidy):
        name = genotypes.source.name if genotypes.source else "genotypes"
        raise InputError(f"{name}: ploidy is {genotypes.ploidy}, io.ploidy says {config.io.ploidy}; mend the setting")


def _population_codes(populations: np.ndarray | None) -> tuple[tuple[str, ...], np.ndarray | None]:
    """Names in order and int64 (N,) codes; nothing where there are fewer than two populations to tell apart."""
    if populations is None or len(set(populations)) < 2:
        return (), None
    names, codes = np.unique(populations.astype(str), return_inverse=True)
    return tuple(names.tolist()), codes.astype(np.int64)


def _cells(where: np.ndarray, genotypes: GenotypeMatrix) -> HiddenCells:
    loci, samples = (np.ascontiguousarray(index) for index in np.nonzero(where.T))
    truth = genotypes.calls[samples, loci].astype(np.int64)
    return HiddenCells(torch.from_numpy(samples), torch.from_numpy(loci), torch.from_numpy(truth))


def _packed(mask: np.ndarray) -> dict[str, Any]:
    return {"shape": list(mask.shape), "bits": torch.from_numpy(np.packbits(mask))}


def _unpacked(packed: dict[str, Any]) -> np.ndarray:
    n_samples, n_loci = packed["shape"]
    return np.unpackbits(packed["bits"].numpy(), count=n_samples * n_loci).reshape(n_samples, n_loci).astype(bool)


def _fitted_from(content: dict[str, Any], config: Config) -> _Fitted:
    loci = content["loci"]
    codes = content["population_codes"]
    device = choose_device(config.train.device)
    names = tuple(content["population_names"])
    mask = Mask(**{name: _unpacked(packed) for name, packed in content["masks"].items()})
    if mask.missing.shape != (len(content["samples"]), len(loci["chrom"])):
        raise ValueError("the masks are not of these samples and loci")
    return _Fitted(
        loci=Loci(
            np.array(loci["chrom"], object),
            loci["pos"].numpy(),
            np.array(loci["ref"], object),
            np.array(loci["alt"], object),
        ),
        ploidy=content["ploidy"],
        samples=tuple(content["samples"]),
        population_names=names,
        population_codes=None if codes is None else codes.numpy(),
        members=[
            member_from_state(state, len(loci["chrom"]), content["ploidy"] + 1, len(names), config, device)
            for state in content["members"]
        ],
        temperature=float(content["temperature"]),
        mask=mask,
        expected=Expected(**{name: Accuracy(**figures) for name, figures in content["expected"].items()}),
    )
