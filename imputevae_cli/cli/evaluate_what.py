"""What `imputevae evaluate` scores: hidden calls or those of a truth, filled by a model or by another tool."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from imputevae_cli.errors import ConfigError
from imputevae_cli.log import logger

if TYPE_CHECKING:
    from imputevae_cli.cli.session import Session
    from imputevae_cli.cli.summary import Stopwatch
    from imputevae_cli.data.genotypes import GenotypeMatrix
    from imputevae_cli.evaluation.evaluate import Guessed
    from imputevae_cli.evaluation.guess import Round
    from imputevae_cli.imputer import ImputeVAE
    from imputevae_cli.report.evaluation_report import Masking, Source


@dataclass(frozen=True)
class Asked:
    """The options of `evaluate` that say what is scored, and on which calls."""

    model: Path | None
    call: str
    imputed: str | None
    truth: Path | None
    strategy: str | None
    prop: float
    repeats: int
    draws: int
    tree: Path | None
    mask_file: Path | None
    write_masked: Path | None

    @property
    def mask_is_there(self) -> bool:
        """Whether the mask is read, rather than written."""
        return self.mask_file is not None and self.mask_file.exists()

    def check(self) -> None:
        """Raise ConfigError for options that are out of range or do not go together."""
        from imputevae_cli.config import Strategy
        from imputevae_cli.imputed import check_call

        check_call(self.call)
        if self.imputed is not None and self.truth is None:
            raise ConfigError("--imputed needs --truth, the calls that INPUT lacks")
        self._check_together()
        if self.strategy not in (None, *get_args(Strategy)):
            raise ConfigError(f"--strategy {self.strategy}: give one of {', '.join(get_args(Strategy))}")
        if not 0 < self.prop < 1:
            raise ConfigError(f"--prop {self.prop:g}: give a share between 0 and 1, such as 0.1")
        if self.tree is not None and not (self.strategy or "").startswith("nonrandom"):
            raise ConfigError("--tree serves the strategies nonrandom and nonrandom_weighted; give one of them")
        if self.repeats > 1 and (self.mask_file or self.write_masked):
            raise ConfigError("--mask-file and --write-masked hold one mask; leave --repeats out")

    def _check_together(self) -> None:
        masks: dict[str, object] = {
            "--strategy": self.strategy,
            "--tree": self.tree,
            "--mask-file": self.mask_file,
            "--write-masked": self.write_masked,
            "--repeats": self.repeats > 1 or None,
        }
        if self.truth is not None and (given := [name for name, value in masks.items() if value is not None]):
            raise ConfigError(f"{given[0]} has no meaning with --truth, for no call is hidden then; leave one out")
        models: dict[str, object] = {"--model": self.model, "--draws": self.draws or None}
        models["--call"] = None if self.call == "map" else self.call
        if self.imputed is not None and (given := [name for name, value in models.items() if value is not None]):
            raise ConfigError(f"{given[0]} has no meaning with --imputed, for no model is at work then; leave one out")


@dataclass(frozen=True)
class Scored:
    """What was said of the scored cells, by whom, and how the cells were chosen."""

    guessed: Guessed
    source: Source
    masking: Masking


def scored(asked: Asked, genotypes: GenotypeMatrix, session: Session, clock: Stopwatch) -> Scored | None:
    """What there is to score; None for a dry run, which says what it would take."""
    if asked.imputed is not None:
        return _read_file(asked, genotypes, session)
    from imputevae_cli.cli.summary import show_estimate
    from imputevae_cli.evaluation.evaluate import guess_with_model
    from imputevae_cli.imputer import ImputeVAE
    from imputevae_cli.report.evaluation_report import Source
    from imputevae_cli.report.model_in_words import model_in_words

    loaded = ImputeVAE.load(asked.model, session.common.device) if asked.model else None
    rounds, masking = _rounds(asked, genotypes, session)
    if session.common.dry_run:
        show_estimate(loaded or ImputeVAE(session.config), genotypes, clock, asked.repeats)
        return None

    def model_for(visible: GenotypeMatrix) -> ImputeVAE:
        return loaded or ImputeVAE(session.config).fit(visible, progress=session.progress)

    guessed, model = guess_with_model(genotypes, rounds, model_for, session.progress, asked.draws, asked.call)
    kind, name = ("checkpoint", str(asked.model)) if loaded else ("fitted", "imputevae")
    notes = _seen_in_training(loaded, genotypes) if asked.truth is None else ()
    source = Source(kind, name, model_in_words(model), "GP", notes, model.config.to_share())
    return Scored(guessed, source, masking)


def _rounds(asked: Asked, genotypes: GenotypeMatrix, session: Session) -> tuple[list[Round], Masking]:
    """The scored cells, and where they come from: a strategy, a mask in a file, or a truth."""
    import numpy as np

    from imputevae_cli.data.genotypes import missing_per_sample
    from imputevae_cli.evaluation.evaluate import draw_rounds, round_of
    from imputevae_cli.io.mask_file import read_mask
    from imputevae_cli.masking.trees import read_newick
    from imputevae_cli.report.evaluation_report import Masking

    seed = session.config.io.seed
    n_known = genotypes.calls.size - int(missing_per_sample(genotypes.calls).sum())
    if asked.truth is not None:
        one = _of_truth(asked.truth, genotypes, session)
        n_missing = int(np.count_nonzero(genotypes.calls[one.cells.samples, one.cells.loci] < 0))
        return [one], Masking(None, len(one.cells.truth) / (n_known + n_missing), 1, seed)
    strategy = asked.strategy or "observed"
    if asked.mask_file is not None and asked.mask_is_there:
        logger.info("%s: its calls are hidden; --strategy and --prop have no effect", asked.mask_file)
        rounds, strategy = [round_of(read_mask(asked.mask_file, genotypes), genotypes)], "file"
    else:
        tree = read_newick(asked.tree, genotypes.samples) if asked.tree else None
        rounds = draw_rounds(genotypes, strategy, asked.prop, asked.repeats, seed, tree)
    return rounds, Masking(strategy, len(rounds[0].cells.truth) / n_known, asked.repeats, seed)


def _of_truth(path: Path, genotypes: GenotypeMatrix, session: Session) -> Round:
    import numpy as np

    from imputevae_cli.cli.session import chosen_regions
    from imputevae_cli.evaluation.truth import cells_of_truth
    from imputevae_cli.io.vcf_reader import read_vcf
    from imputevae_cli.seeds import seed_for

    likelihoods: Literal["none", "auto"] = "none" if session.config.io.likelihoods == "none" else "auto"
    region = chosen_regions(session.common)
    known = read_vcf(path, region=region, likelihoods=likelihoods, progress=session.progress)
    rng = np.random.default_rng(seed_for(session.config.io.seed, "scored loci"))
    return cells_of_truth(genotypes, known, rng)


def _seen_in_training(loaded: ImputeVAE | None, genotypes: GenotypeMatrix) -> tuple[str, ...]:
    shared = len(set(loaded.trained_samples) & set(genotypes.samples)) if loaded else 0
    if not shared:
        return ()
    note = (
        f"The checkpoint was trained on {shared:,} of these {genotypes.n_samples:,} samples, and may have seen the "
        "very calls that are hidden here: the figures flatter it. Without --model, the fit sees none of them."
    )
    logger.warning("%s", note)
    return (note,)


def _read_file(asked: Asked, genotypes: GenotypeMatrix, session: Session) -> Scored | None:
    """What a file says of the cells that a truth knows."""
    from imputevae_cli.evaluation.evaluate import Guessed
    from imputevae_cli.evaluation.truth import read_guess
    from imputevae_cli.report.evaluation_report import Source

    assert asked.imputed is not None
    rounds, masking = _rounds(asked, genotypes, session)
    cells = rounds[0].cells
    if session.common.dry_run:
        logger.info("dry run: %d calls would be scored; nothing was written", len(cells.truth))
        return None
    said = read_guess(asked.imputed, genotypes, cells, session.progress)
    source = Source("file", asked.imputed, None, said.source, said.notes)
    return Scored(Guessed(rounds, [said.guess], said.filled), source, masking)
