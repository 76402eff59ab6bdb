"""Readers of what is written, of their own: programs where they are installed, and parsers that share no code."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest

DIGITS = {"A": 1, "C": 2, "G": 3, "T": 4}


def program(name: str) -> str:
    """The path of a program, or the test is skipped."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name}")
    return found


def run(*command, cwd=None) -> str:
    """What a program prints; it must not fail."""
    done = subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def adegenet(script: str, cwd) -> str:
    """What an R script prints that uses adegenet."""
    rscript = program("Rscript")
    known = subprocess.run([rscript, "-e", "library(adegenet)"], capture_output=True, check=False)
    if known.returncode:
        pytest.skip("needs adegenet")
    return run(rscript, "-e", f"suppressPackageStartupMessages(library(adegenet)); {script}", cwd=cwd)


def calls_of_vcf(text: str) -> np.ndarray:
    """int (samples, loci): counts of allele 1, -1 where one is missing."""
    rows = []
    for line in text.splitlines():
        if not line.startswith("#"):
            cells = [cell.split(":")[0].replace("|", "/").split("/") for cell in line.split("\t")[9:]]
            rows.append([-1 if "." in cell else cell.count("1") for cell in cells])
    return np.array(rows).T


def numbers_of(genotypes) -> list[tuple[int, int]]:
    """The numbers of REF and ALT in STRUCTURE and GENEPOP."""
    loci = genotypes.loci
    return [(DIGITS.get(ref, 5), DIGITS.get(alt, 6)) for ref, alt in zip(loci.ref, loci.alt, strict=True)]
