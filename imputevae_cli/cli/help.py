"""What `--help` looks like: options in sections, an example at the end. Plain text, so that it appears at once."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

FILES = "Files"
FILLING = "What is filled"
PANEL = "Reference panel"
SCORING = "What is scored"
STUDY = "The study"
SETTINGS = "Settings"
SUBSET = "Which samples and loci"
RUNNING = "How it runs"
OTHER = "Other options"
MESSAGES = "Messages"
SECTIONS = (FILES, FILLING, PANEL, SCORING, STUDY, SETTINGS, SUBSET, RUNNING, OTHER, MESSAGES)
"""The sections of `--help`, in their order. An option names its own as `rich_help_panel`; else it is under OTHER."""

SUMMARIES = {
    "impute": "Fill missing calls, or add the loci of a reference panel.",
    "train": "Fit a model and save it, or pack a reference panel.",
    "evaluate": "Hide known calls, fill them, and score what was filled.",
    "tune": "Search the settings that suit a file best.",
}
"""What `imputevae --help` says of each command, on one line of 80 columns."""
EXAMPLES = {
    "impute": """\
Examples:
  imputevae impute cohort.vcf.gz --popmap pops.popmap -o imputed.vcf.gz
  imputevae impute cohort.bed -o imputed.vcf.gz -o imputed.bed -o imputed.str
  imputevae impute new.vcf.gz --model cohort.ivae --min-gp 0.9 -o new.imputed.vcf.gz
  imputevae impute chip.vcf.gz --panel panel.vcf.gz -o dense.vcf.gz""",
    "train": """\
Examples:
  imputevae train cohort.vcf.gz --popmap pops.popmap -o cohort.ivae --latent latent.tsv
  imputevae train panel.vcf.gz --as-panel -o panel.ivae
  imputevae impute chip.vcf.gz --model panel.ivae --add-loci -o dense.vcf.gz""",
    "evaluate": """\
Examples:
  imputevae evaluate cohort.vcf.gz --popmap pops.popmap -o evaluation
  imputevae evaluate masked.vcf.gz --imputed beagle.vcf.gz --truth cohort.vcf.gz -o beagle
  imputevae evaluate lowdepth.vcf.gz --truth deep.vcf.gz --draws 10 -o lowdepth""",
    "tune": """\
Example:
  imputevae tune cohort.vcf.gz --popmap pops.popmap --trials 50 -o best.yaml
  imputevae impute cohort.vcf.gz --popmap pops.popmap --config best.yaml -o imputed.vcf.gz""",
}
"""What `--help` of a command ends with."""


class SectionedCommand(TyperCommand):
    """A command whose `--help` lists the options by section, and the lines of its epilog as they are written."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The arguments, then every section that has an option; `--help` itself is among the messages."""
        arguments: list[tuple[str, str]] = []
        sections: dict[str, list[tuple[str, str]]] = {name: [] for name in SECTIONS}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None:
                continue
            if parameter.param_type_name == "argument":
                arguments.append((parameter.metavar or record[0], record[1]))  # without its type
            else:
                sections[section_of(parameter)].append(record)
        for heading, records in {"Arguments": arguments, **sections}.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """The epilog line by line, so that an example can be copied."""
        if self.epilog:
            formatter.write("\n")
            for line in self.epilog.splitlines():
                formatter.write(f"{line}\n")


def section_of(option: Any) -> str:
    """The section that an option belongs to."""
    return getattr(option, "rich_help_panel", None) or (MESSAGES if option.name == "help" else OTHER)
