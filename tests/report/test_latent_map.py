"""The latent map: its table and its picture."""

from dataclasses import replace

import numpy as np
from conftest import simulate

from imputevae_cli.config import PlotSettings
from imputevae_cli.report.latent import draw_latent, write_latent_table


def test_one_row_a_sample_with_population_and_missingness(tmp_path):
    genotypes, _ = simulate(6, 20)
    mu = np.arange(12.0).reshape(6, 2)
    write_latent_table(tmp_path / "z.tsv", genotypes, mu, np.full((6, 2), 0.5))
    rows = [line.split("\t") for line in (tmp_path / "z.tsv").read_text().splitlines()]
    assert rows[0] == ["sample", "population", "missing", "mu1", "mu2", "sigma1", "sigma2"]
    assert [row[0] for row in rows[1:]] == list(genotypes.samples)
    assert rows[2][1] == "pop1"
    assert float(rows[3][2]) == np.round((genotypes.calls[2] < 0).mean(), 4)
    assert rows[4][3:] == ["6.00000", "7.00000", "0.50000", "0.50000"]


def test_the_picture_is_the_same_each_time_and_needs_no_popmap(tmp_path):
    genotypes, _ = simulate(6, 20, popmap=False)
    settings = PlotSettings(fmt="svg", dpi=50)
    mu = np.random.default_rng(0).normal(size=(6, 1))
    for name in ("a.svg", "b.svg"):
        draw_latent(tmp_path / name, genotypes, mu, settings)
    assert (tmp_path / "a.svg").read_bytes().startswith(b"<?xml")


def test_any_text_is_a_population(tmp_path):
    genotypes, _ = simulate(12, 20)
    labels = [
        "$\\frac{x$",
        "_hidden",
        "\\",
        "$",
        "x\x07\x1b[1m",
        "\u4e2d\u6587",
        "%#&{}",
        "a" * 300,
        "<b>",
        "^",
        "~",
        " ",
    ]
    genotypes = replace(genotypes, populations=np.array(labels, object))
    mu = np.random.default_rng(0).normal(size=(12, 2))
    for fmt in ("svg", "pdf", "png"):
        draw_latent(tmp_path / f"a.{fmt}", genotypes, mu, PlotSettings(fmt=fmt, dpi=30))
        assert (tmp_path / f"a.{fmt}").stat().st_size > 1000
