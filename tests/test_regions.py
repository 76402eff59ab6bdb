"""Regions: what a shard gives, and that the shards of a file put together are the whole of it."""

import dataclasses

import numpy as np
import pysam.bcftools
import pytest
from conftest import DECODERS, TINY, flags_of, imputevae, simulate_linked, vcf_of
from vcf_maker import HEADER, record, vcf, write

from imputevae_cli import read_vcf
from imputevae_cli.genotypes import Loci
from imputevae_cli.region import Region

REGIONS = ("1:1-795", "1:796-", "2", "HLA-A*01:01:01")
"""Of the file of three contigs: the first is cut in the middle, and the last has a name with colons."""


def three_contigs(n_samples=20, n_loci=180, seed=0, prefix="s"):
    genotypes, _ = simulate_linked(n_samples, n_loci, seed=seed)
    loci = genotypes.loci
    chrom = np.repeat(np.array(["1", "2", "HLA-A*01:01:01"], object), (140, 24, n_loci - 164))
    named = Loci(chrom, loci.pos, loci.ref, loci.alt)
    samples = tuple(f"{prefix}{i}" for i in range(n_samples))
    return dataclasses.replace(genotypes, loci=named, samples=samples)


def text_of(genotypes) -> str:
    return vcf_of(genotypes).replace("##INFO", "##contig=<ID=HLA-A*01:01:01,length=9999>\n##INFO", 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """in.vcf.gz and new.vcf.gz, of other samples at the same loci; not to be written to."""
    folder = tmp_path_factory.mktemp("regions")
    for name, seed, prefix in (("in", 0, "s"), ("new", 1, "n")):
        write(folder / f"{name}.vcf.gz", text_of(three_contigs(seed=seed, prefix=prefix)), "bgzf")
    return folder


def records(path) -> list[str]:
    return pysam.bcftools.view("-H", str(path)).splitlines()


def run(*arguments):
    done = imputevae(*arguments, "--threads", 1)
    assert done.returncode == 0, done.stderr.decode()
    return done


def shards(source, model, out, *more):
    """Each region imputed on its own, then put together by bcftools."""
    paths = []
    for number, region in enumerate(REGIONS):
        paths.append(out / f"{number}.vcf.gz")
        run("impute", source, "--model", model, "--region", region, "-o", paths[-1], *more)
    pysam.bcftools.concat("-Oz", "-o", str(out / "all.vcf.gz"), *map(str, paths), catch_stdout=False)
    return records(out / "all.vcf.gz")


@pytest.mark.parametrize("decoder", DECODERS)
def test_regions_put_together_are_the_whole_run(decoder, folder, tmp_path):
    """To the byte, for the samples of the fit, in every part of the model."""
    source, model = folder / "in.vcf.gz", tmp_path / "m.ivae"
    run("train", source, "-o", model, *flags_of({**TINY, "model.decoder": decoder}))
    run("impute", source, "--model", model, "-o", tmp_path / "whole.vcf.gz")
    whole = records(tmp_path / "whole.vcf.gz")
    assert len(whole) == 180
    assert shards(source, model, tmp_path) == whole
