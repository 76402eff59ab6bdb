"""`imputevae evaluate`: hide known calls, fill them, and score the model beside baselines."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from imputevae_cli.cli.help import FILES, SCORING
from imputevae_cli.cli.options import Common, Input, Likelihoods, MapFile, Parents, Popmap, names_of, with_common
from imputevae_cli.errors import ConfigError, LostToBaselineError
from imputevae_cli.log import logger

if TYPE_CHECKING:
    import numpy as np

    from imputevae_cli.cli.session import Session
    from imputevae_cli.cli.summary import Stopwatch
    from imputevae_cli.config import Config
    from imputevae_cli.data.genotypes import GenotypeMatrix
    from imputevae_cli.evaluation.evaluate import Evaluation, Guess, Round
    from imputevae_cli.imputer import ImputeVAE
    from imputevae_cli.io.paths import Files
    from imputevae_cli.report.evaluation_report import Masking, Source


@with_common
def evaluate(
    common: Common,
    input: Input = None,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            help="Folder for report and tables.",
            show_default=False,
            rich_help_panel=FILES,
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model", metavar="MODEL.ivae", help="A checkpoint; without one, fits in place.", rich_help_panel=FILES
        ),
    ] = None,
    popmap: Popmap = None,
    map_: MapFile = None,
    likelihoods: Likelihoods = None,
    parents: Parents = None,
    imputed: Annotated[
        str | None,
        typer.Option(
            "--imputed",
            metavar="FILE",
            help="Score this file, imputed from INPUT by any tool.",
            rich_help_panel=SCORING,
        ),
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(
            "--truth", metavar="FILE", help="With --imputed: the calls that INPUT lacks.", rich_help_panel=SCORING
        ),
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            "--strategy",
            metavar="NAME",
            help="Which calls to hide: observed (the default), random, random_weighted, random_weighted_inv, "
            "nonrandom, nonrandom_weighted or dropout.",
            rich_help_panel=SCORING,
        ),
    ] = None,
    prop: Annotated[
        float,
        typer.Option("--prop", metavar="SHARE", help="Share of the known calls to hide.", rich_help_panel=SCORING),
    ] = 0.1,
    repeats: Annotated[
        int,
        typer.Option(
            "--repeats",
            metavar="N",
            min=1,
            max=10_000,
            help="Masks to draw; the spread is reported.",
            rich_help_panel=SCORING,
        ),
    ] = 1,
    tree: Annotated[
        Path | None,
        typer.Option(
            "--tree", metavar="FILE", help="Newick, for nonrandom; else neighbour-joining.", rich_help_panel=SCORING
        ),
    ] = None,
    mask_file: Annotated[
        Path | None,
        typer.Option(
            "--mask-file",
            metavar="FILE.tsv.gz",
            help="Hide these calls; saved here if it does not exist.",
            rich_help_panel=SCORING,
        ),
    ] = None,
    write_masked: Annotated[
        Path | None,
        typer.Option(
            "--write-masked", metavar="FILE.vcf.gz", help="Write INPUT without the hidden calls.", rich_help_panel=FILES
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 6 if the model loses to a baseline.", rich_help_panel=SCORING)
    ] = False,
    json_: Annotated[
        str | None,
        typer.Option(
            "--json", metavar="FILE", help="Write report.json here too; - is standard output.", rich_help_panel=FILES
        ),
    ] = None,
) -> None:
    """Score the model, or a file that any tool imputed, on hidden calls, beside baselines on the same calls."""
    from imputevae_cli.cli import session as this
    from imputevae_cli.cli.summary import Stopwatch, show_evaluation

    asked = Asked(model, imputed, truth, strategy, prop, repeats, tree, mask_file, write_masked)

    def files(config: Config) -> Files:
        asked.check()
        return _files({"INPUT": input, "--popmap": popmap, "--map": map_}, folder_of(config), json_, asked)

    def folder_of(config: Config) -> str | None:
        return output if output is not None or json_ else this.output_path(None, config, "_evaluation")

    clock = Stopwatch()
    session = this.start(common, files, {"io.likelihoods": likelihoods, "founders.parents": names_of(parents)})
    path = folder_of(session.config)
    if not _check_outputs(path, json_, asked, session):
        return
    genotypes = this.read(input, popmap, session, map_)
    this.limit_threads(session)
    guessed = _read_guesses(asked, genotypes, session) if imputed else _fill_hidden(asked, genotypes, session, clock)
    if guessed is None:  # a dry run
        return
    report, evaluation = _report(guessed, genotypes, session)
    _write(path, json_, asked, report, evaluation, guessed, genotypes, session)
    show_evaluation(report, path, clock, common.quiet)
    losses = report["verdict"]["loses_to"]
    if strict and losses:
        worst = losses[0]
        raise LostToBaselineError(
            f"the model loses to {worst['method']} on {worst['metric']} ({worst['model']:.4f} against "
            f"{worst['baseline']:.4f}), and --strict was given; the report says where"
        )


@dataclass(frozen=True)
class Asked:
    """The options of `evaluate` that say what is scored, and on which calls."""

    model: Path | None
    imputed: str | None
    truth: Path | None
    strategy: str | None
    prop: float
    repeats: int
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

        if (self.imputed is None) != (self.truth is None):
            raise ConfigError("--imputed and --truth go together: the file to score, and the calls that INPUT lacks")
        own: dict[str, object] = {
            "--model": self.model,
            "--strategy": self.strategy,
            "--tree": self.tree,
            "--mask-file": self.mask_file,
        }
        own |= {"--write-masked": self.write_masked, "--repeats": self.repeats > 1 or None}
        if self.imputed is not None and (given := [name for name, value in own.items() if value is not None]):
            raise ConfigError(f"{given[0]} has no meaning with --imputed, which scores the calls that INPUT lacks")
        if self.strategy not in (None, *get_args(Strategy)):
            raise ConfigError(f"--strategy {self.strategy}: give one of {', '.join(get_args(Strategy))}")
        if not 0 < self.prop < 1:
            raise ConfigError(f"--prop {self.prop:g}: give a share between 0 and 1, such as 0.1")
        if self.tree is not None and not (self.strategy or "").startswith("nonrandom"):
            raise ConfigError("--tree serves the strategies nonrandom and nonrandom_weighted; give one of them")
        if self.repeats > 1 and (self.mask_file or self.write_masked):
            raise ConfigError("--mask-file and --write-masked hold one mask; leave --repeats out")


@dataclass(frozen=True)
class Guessed:
    """What was said of the hidden calls. filled: int8 (N, L), the first round's calls with all that was filled in."""

    rounds: list[Round]
    guesses: list[Guess]
    filled: np.ndarray
    source: Source
    masking: Masking


def _files(reads: dict[str, str | Path | None], path: str | None, json_: str | None, asked: Asked) -> Files:
    """What is read and written. The mask is the one or the other: it is read where it exists."""
    from imputevae_cli.io.outputs import output_type_of
    from imputevae_cli.io.paths import Files, with_indexes

    if asked.write_masked is not None and output_type_of(asked.write_masked) == "p":
        raise ConfigError(f"{asked.write_masked}: --write-masked writes VCF, VCF.gz or BCF; name one of these")
    reads |= {"--model": asked.model, "--imputed": asked.imputed, "--truth": asked.truth, "--tree": asked.tree}
    writes = {"--json": json_, **with_indexes("--write-masked", asked.write_masked)}
    (reads if asked.mask_is_there else writes)["--mask-file"] = asked.mask_file
    return Files(reads, writes, {"-o": path})


def _check_outputs(path: str | None, json_: str | None, asked: Asked, session: Session) -> bool:
    """Whether there is anything to do; False where the same command was finished before."""
    from imputevae_cli.cli.finished import command_of_evaluation, is_written, say_finished
    from imputevae_cli.io.outputs import check_output, check_output_folder
    from imputevae_cli.report.evaluation_folder import FILES, REPORT, is_report

    common, force = session.common, session.common.force
    outputs = [file for file in (path, json_, asked.write_masked, asked.mask_file) if file is not None]
    place = path or json_ or ""
    if common.resume and not force and is_written(place, session, command_of_evaluation):
        if all(Path(file).exists() for file in outputs):
            say_finished(place)
            return False
        force = True
    if common.resume:
        logger.warning("--resume: `evaluate` keeps no stopped run, so it starts from the beginning")
    if path is not None:
        check_output_folder(path, is_ours=lambda folder: is_report(folder / REPORT), own=FILES, force=force)
    for file in outputs[path is not None :]:
        if file != asked.mask_file or not asked.mask_is_there:
            check_output(file, inputs=session.inputs, force=force)
    return True


def _fill_hidden(asked: Asked, genotypes: GenotypeMatrix, session: Session, clock: Stopwatch) -> Guessed | None:
    """Hide calls, and fill them with a checkpoint or with a model fitted to the visible ones."""
    from imputevae_cli.cli.summary import model_in_words
    from imputevae_cli.data.genotypes import MISSING
    from imputevae_cli.evaluation.evaluate import guesses_of_model
    from imputevae_cli.imputer import ImputeVAE
    from imputevae_cli.report.evaluation_report import Masking, Source

    loaded = ImputeVAE.load(asked.model, session.common.device) if asked.model else None
    if genotypes.calls_are_uncertain:
        logger.warning(
            "the hidden calls rest on a few reads each, and the scores take them for the truth: they are lower than "
            "the filled calls deserve; `impute` gives the accuracy expected over what the reads leave open"
        )
    rounds, strategy = _rounds(asked, genotypes, session)
    if session.common.dry_run:
        from imputevae_cli.cli.summary import show_estimate

        show_estimate(loaded or ImputeVAE(session.config), genotypes, clock, asked.repeats)
        return None

    def model_for(visible: GenotypeMatrix) -> ImputeVAE:
        return loaded or ImputeVAE(session.config).fit(visible, session.progress)

    guesses, model, filled = guesses_of_model(genotypes, rounds, model_for, session.progress)
    kind, name = ("checkpoint", str(asked.model)) if loaded else ("fitted", "imputevae")
    notes = _seen_in_training(loaded, genotypes)
    source = Source(kind, name, model_in_words(model), "GP", notes, model.config.to_share())
    prop = len(rounds[0].cells.truth) / int((genotypes.calls != MISSING).sum())
    return Guessed(rounds, guesses, filled, source, Masking(strategy, prop, asked.repeats, session.config.io.seed))


def _rounds(asked: Asked, genotypes: GenotypeMatrix, session: Session) -> tuple[list[Round], str]:
    """The masks, and where they come from: a strategy, or a file."""
    from imputevae_cli.data.hidden_calls import HiddenCells
    from imputevae_cli.evaluation.evaluate import Round, draw_rounds
    from imputevae_cli.io.mask_file import read_mask
    from imputevae_cli.masking.trees import read_newick

    if asked.mask_file is not None and asked.mask_is_there:
        logger.info("%s: its calls are hidden; --strategy and --prop have no effect", asked.mask_file)
        return [Round(HiddenCells.of(read_mask(asked.mask_file, genotypes), genotypes.calls))], "file"
    tree = read_newick(asked.tree, genotypes.samples) if asked.tree else None
    strategy = asked.strategy or "observed"
    return draw_rounds(genotypes, strategy, asked.prop, asked.repeats, session.config.io.seed, tree), strategy


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


def _read_guesses(asked: Asked, genotypes: GenotypeMatrix, session: Session) -> Guessed | None:
    """What the file says of the calls that INPUT lacks and the truth knows."""
    import numpy as np

    from imputevae_cli.data.genotypes import MISSING
    from imputevae_cli.evaluation.truth import cells_of_truth, read_guess
    from imputevae_cli.io.vcf_reader import read_vcf
    from imputevae_cli.report.evaluation_report import Masking, Source
    from imputevae_cli.seeds import seed_for

    assert asked.imputed is not None
    assert asked.truth is not None  # they go together
    seed = session.config.io.seed
    known = read_vcf(asked.truth, region=session.common.region, progress=session.progress)
    one = cells_of_truth(genotypes, known, np.random.default_rng(seed_for(seed, "scored loci")))
    n_known = int((genotypes.calls != MISSING).sum()) + len(one.cells.truth)
    if session.common.dry_run:
        logger.info("dry run: %d calls would be scored; nothing was written", len(one.cells.truth))
        return None
    said = read_guess(asked.imputed, genotypes, one.cells, session.progress)
    source = Source("file", asked.imputed, None, said.source, said.notes)
    masking = Masking(None, len(one.cells.truth) / n_known, 1, seed)
    return Guessed([one], [said.guess], said.filled, source, masking)


def _report(guessed: Guessed, genotypes: GenotypeMatrix, session: Session) -> tuple[dict[str, Any], Evaluation]:
    from datetime import datetime, timezone

    from imputevae_cli import __version__
    from imputevae_cli.evaluation import evaluate as scoring
    from imputevae_cli.report.evaluation_report import report_of

    seed = guessed.masking.seed
    evaluation = scoring.evaluate(genotypes, guessed.rounds, guessed.guesses, seed, session.progress)
    made = {"version": __version__, "command": session.command}
    created = datetime.now(timezone.utc).isoformat(timespec="seconds")
    bias = scoring.downstream_bias(genotypes, guessed.rounds[0], guessed.filled)
    report = report_of(evaluation, genotypes, guessed.source, guessed.masking, bias, created=created, **made)
    return report, evaluation


def _write(
    path: str | None,
    json_: str | None,
    asked: Asked,
    report: dict[str, Any],
    evaluation: Evaluation,
    guessed: Guessed,
    genotypes: GenotypeMatrix,
    session: Session,
) -> None:
    """The folder, the JSON and, where asked for, the mask and the input without the hidden calls: all, or none."""
    from imputevae_cli import __version__
    from imputevae_cli.cli.signals import ignore
    from imputevae_cli.io.mask_file import write_mask
    from imputevae_cli.io.outputs import (
        INDEXES,
        STDOUT,
        atomic_folder,
        atomic_output,
        output_type_of,
        standard_output,
        undisturbed,
    )  # fmt: skip
    from imputevae_cli.io.vcf_masked import write_masked_vcf
    from imputevae_cli.report.evaluation_folder import FILES, as_json, write_folder

    cells = guessed.rounds[0].cells
    with contextlib.ExitStack() as stack:  # the last to be entered appears first, and the folder when all is there
        folder = stack.enter_context(atomic_folder(path, FILES)) if path is not None else None
        if asked.mask_file is not None and not asked.mask_is_there:
            write_mask(stack.enter_context(atomic_output(asked.mask_file)), genotypes, cells.samples, cells.loci)
        if asked.write_masked is not None:
            kind, place = output_type_of(asked.write_masked), asked.write_masked
            if str(place) != STDOUT:
                place = stack.enter_context(atomic_output(place, INDEXES if kind != "v" else ()))
            made: dict[str, Any] = {"command": session.command, "version": __version__, "progress": session.progress}
            write_masked_vcf(place, genotypes, cells.samples, cells.loci, output_type=kind, **made)
        if folder is not None:
            write_folder(folder, report, evaluation, genotypes)
        if json_ == STDOUT:
            with standard_output() as out:
                out.write(as_json(report).encode())
        elif json_ is not None:
            stack.enter_context(atomic_output(json_)).write_text(as_json(report), encoding="utf-8")
        with undisturbed():
            stack.pop_all().close()
            ignore()
