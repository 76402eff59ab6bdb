"""`imputevae evaluate`: hide known calls, fill them, and score the model beside baselines."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imputevae_cli.cli.evaluate_what import Asked, Scored
from imputevae_cli.cli.help import FILES, SCORING
from imputevae_cli.cli.options import (
    AddLoci,
    CallRule,
    Common,
    Input,
    Likelihoods,
    MapFile,
    PanelFile,
    Parents,
    Popmap,
    names_of,
    with_common,
)
from imputevae_cli.errors import ConfigError, LostToBaselineError
from imputevae_cli.log import logger

if TYPE_CHECKING:
    from imputevae_cli.cli.session import Session
    from imputevae_cli.config import Config
    from imputevae_cli.data.genotypes import GenotypeMatrix
    from imputevae_cli.evaluation.evaluate import Evaluation
    from imputevae_cli.io.paths import Files


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
    call: CallRule = "map",
    imputed: Annotated[
        str | None,
        typer.Option(
            "--imputed",
            metavar="FILE",
            help="With --truth: score this file, imputed from INPUT by any tool.",
            rich_help_panel=SCORING,
        ),
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(
            "--truth",
            metavar="FILE",
            help="Known genotypes: score the calls that INPUT lacks, and uncertain ones; nothing is hidden.",
            rich_help_panel=SCORING,
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
    draws: Annotated[
        int,
        typer.Option(
            "--draws",
            metavar="N",
            min=0,
            max=1000,
            help="Show what N draws from the posterior do to Ho, He, FIS, Fst and allele frequencies.",
            rich_help_panel=SCORING,
        ),
    ] = 0,
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
    panel: PanelFile = None,
    add_loci: AddLoci = False,
    json_: Annotated[
        str | None,
        typer.Option(
            "--json", metavar="FILE", help="Write report.json here too; - is standard output.", rich_help_panel=FILES
        ),
    ] = None,
) -> None:
    """Score the model, or a file that any tool imputed, on hidden calls, beside baselines on the same calls."""
    from imputevae_cli.cli import session as this
    from imputevae_cli.cli.evaluate_what import scored
    from imputevae_cli.cli.summary import Stopwatch, show_evaluation

    if panel is not None or add_loci:
        from imputevae_cli.cli.evaluate_panel import evaluate_from_panel
        from imputevae_cli.cli.panels import PanelRun

        idle: dict[str, object] = {"--imputed": imputed, "--truth": truth, "--strategy": strategy}
        idle |= {
            "--repeats": repeats > 1,
            "--draws": draws,
            "--tree": tree,
            "--mask-file": mask_file,
            "--write-masked": write_masked,
        }
        idle |= {"--strict": strict, "--parents": parents, "--call": call != "map"}
        evaluate_from_panel(common, PanelRun(input, panel, model, popmap, map_, likelihoods, idle), output, json_, prop)
        return

    asked = Asked(model, call, imputed, truth, strategy, prop, repeats, draws, tree, mask_file, write_masked)

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
    what = scored(asked, genotypes, session, clock)
    if what is None:  # a dry run
        return
    report, evaluation = _report(what, genotypes, session)
    _write(path, json_, asked, report, evaluation, genotypes, session)
    show_evaluation(report, path, clock, common.quiet)
    losses = report["verdict"]["loses_to"]
    if strict and losses:
        worst = losses[0]
        raise LostToBaselineError(
            f"the model loses to {worst['method']} on {worst['metric']} ({worst['model']:.4f} against "
            f"{worst['baseline']:.4f}), and --strict was given; the report says where"
        )


def _files(reads: dict[str, str | Path | None], path: str | None, json_: str | None, asked: Asked) -> Files:
    """What is read and written. The mask is the one or the other: it is read where it exists."""
    from imputevae_cli.io.formats.registry import format_of
    from imputevae_cli.io.paths import Files, with_companions

    if asked.write_masked is not None and not format_of(asked.write_masked).is_vcf:
        raise ConfigError(f"{asked.write_masked}: --write-masked writes VCF, VCF.gz or BCF; name one of these")
    reads |= {"--model": asked.model, "--imputed": asked.imputed, "--truth": asked.truth, "--tree": asked.tree}
    writes = {"--json": json_, **with_companions("--write-masked", asked.write_masked)}
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


def _report(what: Scored, genotypes: GenotypeMatrix, session: Session) -> tuple[dict[str, Any], Evaluation]:
    """The guesses scored, as the report has them and as they are."""
    from datetime import datetime, timezone

    from imputevae_cli import __version__
    from imputevae_cli.evaluation import evaluate as scoring
    from imputevae_cli.report.evaluation_report import Made, report_of

    guessed = what.guessed
    evaluation = scoring.evaluate(genotypes, guessed.rounds, guessed.guesses, what.masking.seed, session.progress)
    bias = scoring.downstream_bias(genotypes, guessed)
    made = Made(__version__, session.command, datetime.now(timezone.utc).isoformat(timespec="seconds"))
    return report_of(evaluation, genotypes, what.source, what.masking, bias, made), evaluation


def _write(
    path: str | None,
    json_: str | None,
    asked: Asked,
    report: dict[str, Any],
    evaluation: Evaluation,
    genotypes: GenotypeMatrix,
    session: Session,
) -> None:
    """The folder, the JSON and, where asked for, the mask and the input without the hidden calls: all, or none."""
    from imputevae_cli import __version__
    from imputevae_cli.cli.signals import ignore
    from imputevae_cli.io.formats.registry import output_type_of
    from imputevae_cli.io.mask_file import write_mask
    from imputevae_cli.io.outputs import INDEXES, STDOUT, atomic_folder, atomic_output, standard_output, undisturbed
    from imputevae_cli.io.vcf_masked import write_masked_vcf
    from imputevae_cli.report.evaluation_folder import FILES, as_json, write_folder

    samples, loci = evaluation.samples, evaluation.loci  # a mask is of one round
    with contextlib.ExitStack() as stack:  # the last to be entered appears first, and the folder when all is there
        folder = stack.enter_context(atomic_folder(path, FILES)) if path is not None else None
        if asked.mask_file is not None and not asked.mask_is_there:
            write_mask(stack.enter_context(atomic_output(asked.mask_file)), genotypes, samples, loci)
        if asked.write_masked is not None:
            kind, place = output_type_of(asked.write_masked), asked.write_masked
            if str(place) != STDOUT:
                place = stack.enter_context(atomic_output(place, INDEXES if kind != "v" else ()))
            made: dict[str, Any] = {"command": session.command, "version": __version__, "progress": session.progress}
            write_masked_vcf(place, genotypes, samples, loci, output_type=kind, **made)
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
