"""Options of other tools, and completion in the shell."""

import subprocess
import sys

import pytest
from conftest import environment, imputevae
from test_cli import refused

from imputevae_cli.cli.hints import HINTS, beagle_argument
from imputevae_cli.cli.main import app


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["impute", "--vcf", "in.vcf"], ["no option --vcf here", "imputevae COMMAND cohort.vcf.gz -o OUT"]),
        (["impute", "--bfile", "in"], ["give the .bed as INPUT"]),
        (["impute", "in.vcf", "--out", "x"], ["-o OUT names the output"]),
        (["train", "in.vcf", "-t", "4"], ["--threads N"]),
        (["evaluate", "in.vcf", "--maf", "0.05"], ["bcftools view"]),
        (["impute", "gt=in.vcf", "out=x"], ["gt=in.vcf: is an argument of Beagle"]),
        (["impute", "in.vcf", "--zzz"], ["No such option: --zzz"]),
    ],
)
def test_the_error_says_what_to_write(arguments, words):
    refused(imputevae(*arguments), 2, *words)


def test_no_hint_is_for_an_option_that_is_there_everywhere():
    import typer.main

    commands = typer.main.get_command(app).commands.values()
    everywhere = set.intersection(*({o for p in command.params for o in p.opts} for command in commands))
    assert not everywhere & HINTS.keys()


def test_values_of_options_are_no_arguments_of_beagle():
    assert beagle_argument(["impute", "-o", "out=1.vcf", "in.vcf"]) is None
    assert beagle_argument(["impute", "in.vcf", "map=x"]) == "map=x"


def test_the_shell_completes_options():
    asked = {"_IMPUTEVAE_COMPLETE": "complete_bash", "COMP_WORDS": "imputevae impute --out", "COMP_CWORD": "2"}
    program = "import sys; sys.argv = ['imputevae']; from imputevae_cli.__main__ import main; main()"
    run = subprocess.run(
        [sys.executable, "-c", program], env={**environment(), **asked}, capture_output=True, text=True, check=False
    )
    assert run.stdout.split() == ["--output", "--output-type"], run.stderr
