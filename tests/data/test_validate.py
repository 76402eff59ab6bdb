"""Genotypes that are not what they are said to be are refused, and stray values never pass for calls."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import simulate, tiny_config

from imputevae_cli import ImputeVAE
from imputevae_cli.errors import ConfigError, InputError
from imputevae_cli.imputed import ImputedGenotypes


def changed(calls, place, value):
    calls = calls.copy()
    calls[place] = value
    return calls


BAD = {
    "int64": (lambda g: replace(g, calls=g.calls.astype(np.int64)), "type int64"),
    "NaN": (lambda g: replace(g, calls=np.where(g.calls < 0, np.nan, g.calls)), "hold NaN"),
    "a list": (lambda g: replace(g, calls=g.calls.tolist()), "are a list"),
    "one dimension": (lambda g: replace(g, calls=g.calls[0]), "shape"),
    "3": (lambda g: replace(g, calls=changed(g.calls, (2, 5), 3)), "sample 2 at locus 5 is 3"),
    "-2": (lambda g: replace(g, calls=changed(g.calls, (0, 0), -2)), "is -2"),
    "too few samples": (lambda g: replace(g, samples=g.samples[1:]), "samples are 11, the calls have 12"),
    "samples of no sequence": (lambda g: replace(g, samples=3), "samples are 3"),
    "too few loci": (lambda g: replace(g, loci=g.loci.take(np.arange(5))), "loci.chrom are 5"),
    "too few populations": (lambda g: replace(g, populations=g.populations[:-1]), "populations are 11"),
    "one population": (lambda g: replace(g, populations="pop1"), "populations are 'pop1'"),
    "ploidy": (lambda g: replace(g, ploidy=0), "ploidy is 0"),
}
BAD_CONTENT = {
    "a number for a sample": (lambda g: replace(g, samples=(1, *g.samples[1:])), r"samples\[0\] is 1"),
    "two of one name": (lambda g: replace(g, samples=(g.samples[1], *g.samples[1:])), "one name"),
    "NaN for a population": (
        lambda g: replace(g, populations=np.array([np.nan, *g.populations[1:]], object)),
        r"populations\[0\] is nan",
    ),
    "positions": (lambda g: replace(g, loci=replace(g.loci, pos=g.loci.pos / 2)), "pos are of type float64"),
    "an allele": (
        lambda g: replace(g, loci=replace(g.loci, ref=np.array([None, *g.loci.ref[1:]], object))),
        r"loci.ref\[0\] is None",
    ),
    "a map": (lambda g: g.with_map(np.full(20, np.nan)), "finite"),
}


@pytest.mark.parametrize("kind", BAD)
def test_genotypes_that_cannot_be_made(kind):
    make, words = BAD[kind]
    with pytest.raises(InputError, match=words) as error:
        make(simulate(12, 20)[0])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", BAD_CONTENT)
def test_genotypes_that_cannot_be_fitted(kind):
    make, words = BAD_CONTENT[kind]
    with pytest.raises(InputError, match=words):
        ImputeVAE(tiny_config()).fit(make(simulate(12, 20)[0]))


def test_what_is_no_genotypes():
    with pytest.raises(InputError, match="give a GenotypeMatrix"):
        ImputeVAE(tiny_config()).fit("in.vcf")


def test_calls_that_were_written_to_later():
    genotypes, _ = simulate(24, 60)
    model = ImputeVAE(tiny_config()).fit(genotypes)
    imputed = model.transform()
    genotypes.calls[3, 4] = 7
    for use in (lambda: model.transform(genotypes), lambda: model.fit(genotypes), lambda: imputed.calls):
        with pytest.raises(InputError, match="is 7"):
            use()


def test_thresholds_that_are_no_probability():
    genotypes, _ = simulate(12, 20)
    for value in (-0.1, 1.5, float("nan")):
        with pytest.raises(ConfigError, match="min_gp"):
            ImputedGenotypes(genotypes, lambda start, stop: None, value)
