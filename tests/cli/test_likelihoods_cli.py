"""`--likelihoods` and `--refine` on the command line."""

import cyvcf2
import numpy as np
import pytest
from conftest import TINY_FLAGS, imputevae, simulate
from vcf_maker import HEADER, columns, record

HEAD = HEADER + '##FORMAT=<ID=PL,Number=G,Type=Integer,Description="Phred-scaled likelihoods">\n'


@pytest.fixture(scope="module")
def low_depth(tmp_path_factory):
    """A file whose calls rest on one or two reads each."""
    genotypes, truth = simulate(30, 40, missing=0.0, seed=3)
    rng = np.random.default_rng(1)
    reads = rng.integers(0, 3, truth.shape)
    alt = rng.binomial(reads, np.array([0.01, 0.5, 0.99])[truth])
    cells = {(1, 0): "0/0:0,3,20", (1, 1): "1/1:20,3,0", (2, 0): "0/0:0,6,40", (2, 1): "0/1:17,0,17"}
    cells |= {(2, 2): "1/1:40,6,0", (0, 0): "./.:."}
    lines = [
        record([cells[key] for key in zip(reads[:, j], alt[:, j], strict=True)], pos=10 + j, fmt="GT:PL")
        for j in range(40)
    ]
    path = tmp_path_factory.mktemp("low_depth") / "in.vcf"
    path.write_text(HEAD + columns(genotypes.samples) + "".join(lines))
    return path


def calls_of(path):
    return np.array([record.gt_types.copy() for record in cyvcf2.VCF(str(path))])


def test_refine_says_what_it_did_and_nothing_changes_without_it(low_depth, tmp_path):
    before = calls_of(low_depth)
    run = imputevae("impute", low_depth, "-o", tmp_path / "out.vcf", *TINY_FLAGS)
    error = run.stderr.decode()
    assert run.returncode == 0, error
    assert "likelihoods from PL" in error
    assert "refined" not in error
    known = before != 2
    assert np.array_equal(calls_of(tmp_path / "out.vcf")[known], before[known])
    run = imputevae("impute", low_depth, "-o", tmp_path / "refined.vcf", "--refine", *TINY_FLAGS)
    assert "Visible calls refined" in run.stderr.decode()
    changed = calls_of(tmp_path / "refined.vcf")[known] != before[known]
    flags = np.array([record.format("IMP")[:, 0] for record in cyvcf2.VCF(str(tmp_path / "refined.vcf"))])
    assert np.array_equal(flags[known] == 2, changed)


def test_likelihoods_can_be_left_aside(low_depth, tmp_path):
    run = imputevae("impute", low_depth, "-o", tmp_path / "out.vcf", "--likelihoods", "none", *TINY_FLAGS)
    assert run.returncode == 0
    assert "PL" not in run.stderr.decode()


@pytest.mark.parametrize(("field", "code", "word"), [("GL", 3, "GL is in no record"), ("XY", 2, "io.likelihoods")])
def test_a_field_that_does_not_serve_is_one_line(low_depth, tmp_path, field, code, word):
    run = imputevae("impute", low_depth, "-o", tmp_path / "out.vcf", "--likelihoods", field)
    error = run.stderr.decode()
    assert run.returncode == code, error
    assert word in error
    assert error.count("\n") == 1


def test_parents_may_be_samples_or_a_population(low_depth, tmp_path):
    """They set `founders.parents`; a name of neither ends the run."""
    popmap = tmp_path / "pops.txt"
    names = cyvcf2.VCF(str(low_depth)).samples
    popmap.write_text("".join(f"{name}\t{'old' if i < 2 else 'young'}\n" for i, name in enumerate(names)))
    flags = ("--popmap", popmap, *TINY_FLAGS, "--set", "model.decoder=founders")
    outputs = {}
    for parents in ("old", f"{names[0]},{names[1]}", f"{names[5]},{names[6]}"):
        outputs[parents] = tmp_path / f"{len(outputs)}.vcf"
        run = imputevae("impute", low_depth, "-o", outputs[parents], "--parents", parents, *flags)
        assert run.returncode == 0, run.stderr.decode()
    of_population, same, others = ([r.format("GP") for r in cyvcf2.VCF(str(path))] for path in outputs.values())
    assert np.array_equal(of_population, same)
    assert not np.array_equal(of_population, others)
    run = imputevae("impute", low_depth, "-o", tmp_path / "x.vcf", "--parents", "nobody", *flags)
    assert run.returncode == 2
    assert "'nobody' is no sample of the file" in run.stderr.decode()
