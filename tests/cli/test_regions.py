"""Regions: what a shard gives, and that the shards of a file put together are the whole of it."""

import dataclasses

import numpy as np
import pysam.bcftools
import pytest
from conftest import TINY, flags_of, imputevae, simulate_linked, vcf_of
from vcf_maker import HEADER, record, vcf, write

from imputevae_cli import read_vcf
from imputevae_cli.config import CopyingSettings
from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.genotypes import MISSING, Loci
from imputevae_cli.data.region import Region
from imputevae_cli.decoders.copying.model import CopyingModel
from imputevae_cli.errors import InputError

REGIONS = ("1:1-795", "1:796-", "2", "HLA-A*01:01:01")
"""Of the file of three contigs: the first is cut in the middle, and the last has a name with colons."""


def rows_of(genotypes, rows):
    return dataclasses.replace(genotypes, calls=genotypes.calls[rows], samples=genotypes.samples[rows])


def text_of(genotypes) -> str:
    chrom = np.repeat(np.array(["1", "2", "HLA-A*01:01:01"], object), (140, 24, 16))
    loci = Loci(chrom, genotypes.loci.pos, genotypes.loci.ref, genotypes.loci.alt)
    text = vcf_of(dataclasses.replace(genotypes, loci=loci))
    return text.replace("##INFO", "##contig=<ID=HLA-A*01:01:01,length=9999>\n##INFO", 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """in.vcf.gz and new.vcf.gz, of other samples at the same loci; not to be written to."""
    folder = tmp_path_factory.mktemp("regions")
    genotypes, _ = simulate_linked(24, 180)
    for name, rows in (("in", slice(0, 16)), ("new", slice(16, 24))):
        write(folder / f"{name}.vcf.gz", text_of(rows_of(genotypes, rows)), "bgzf")
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


@pytest.mark.parametrize("decoder", ["vae", "knn", "copying"])
def test_regions_put_together_are_the_whole_run(decoder, folder, tmp_path):
    """To the byte, for the samples of the fit, in every part of the model."""
    source, model = folder / "in.vcf.gz", tmp_path / "m.ivae"
    run("train", source, "-o", model, *flags_of({**TINY, "model.decoder": decoder, "knn.steps": 5}))
    more = ["--phased"] if decoder == "copying" else ["--min-gp", "0.6"]
    run("impute", source, "--model", model, "-o", tmp_path / "whole.vcf.gz", *more)
    whole = records(tmp_path / "whole.vcf.gz")
    assert len(whole) == 180
    assert shards(source, model, tmp_path, *more) == whole


def test_a_file_of_regions_gives_their_records_of_the_whole_run(folder, tmp_path):
    """Several contigs in one job, as a list and as BED; put together with the rest they are the whole."""
    source, model = folder / "in.vcf.gz", tmp_path / "m.ivae"
    run("train", source, "-o", model, *flags_of(TINY))
    run("impute", source, "--model", model, "-o", tmp_path / "whole.vcf.gz")
    whole = records(tmp_path / "whole.vcf.gz")
    (tmp_path / "first.bed").write_text("1\t0\t795\n")
    (tmp_path / "rest.txt").write_text("HLA-A*01:01:01\n2\n1:796-\n")
    for name in ("first.bed", "rest.txt"):
        run("impute", source, "--model", model, "--regions-file", tmp_path / name, "-o", tmp_path / f"{name}.vcf.gz")
    parts = [records(tmp_path / f"{name}.vcf.gz") for name in ("first.bed", "rest.txt")]
    assert [len(part) > 40 for part in parts] == [True, True]
    assert [*parts[0], *parts[1]] == whole


def test_several_regions_are_read_with_loci_on_either_side_of_each(folder):
    whole = read_vcf(folder / "in.vcf.gz")
    pos = whole.loci.pos
    wanted = [f"1:{pos[50]}-{pos[52]}", f"1:{pos[60]}-{pos[60]}", f"2:{pos[140]}-{pos[141]}"]
    part = read_vcf(folder / "in.vcf.gz", region=wanted, context=3)
    places = [*range(47, 56), *range(57, 64), *range(140, 145)]  # nothing of chromosome 1 stands beside chromosome 2
    assert part.loci.pos.tolist() == pos[places].tolist()
    assert np.array_equal(part.calls, whole.calls[:, places])
    inside = [50, 51, 52, 60, 140, 141]
    assert np.flatnonzero(~part.is_context).tolist() == [places.index(i) for i in inside]
    assert part.source.rows[~part.is_context].tolist() == list(range(6))


def test_chromosomes_without_a_locus_are_named(folder, tmp_path):
    (tmp_path / "r.txt").write_text("1:1-795\nchr2\nchrM\n")
    done = run(
        "impute", folder / "in.vcf.gz", "--regions-file", tmp_path / "r.txt", "--dry-run", "-o", tmp_path / "x.vcf"
    )
    assert b"no locus to model on 2 of 3 chromosomes (such as chr2)" in done.stderr


def test_a_region_and_a_file_of_regions_are_one_too_many(folder, tmp_path):
    (tmp_path / "r.txt").write_text("1\n")
    both = ["--region", "1", "--regions-file", tmp_path / "r.txt"]
    done = imputevae("impute", folder / "in.vcf.gz", *both, "-o", tmp_path / "x.vcf")
    assert done.returncode == 2
    assert b"--region or --regions-file, not both" in done.stderr


def test_other_samples_by_region(folder, tmp_path):
    """Every part but the haplotypes gives the bytes of the whole run, and so do they where a region's windows reach."""
    source, new, model = folder / "in.vcf.gz", folder / "new.vcf.gz", tmp_path / "m.ivae"
    for decoder in ("knn", "copying"):
        run("train", source, "-o", model, *flags_of({**TINY, "model.decoder": decoder, "knn.steps": 5}), "--force")
        run("impute", new, "--model", model, "-o", tmp_path / "whole.vcf.gz", "--force")
        assert shards(new, model, tmp_path, "--force") == records(tmp_path / "whole.vcf.gz"), decoder


def test_the_haplotypes_of_other_samples_are_read_near_the_region_alone():
    genotypes, _ = simulate_linked(60, 800)
    settings = CopyingSettings(iterations=4, burn_in=2, chains=1, core=40, halo=15, trial=False)
    decoder = CopyingModel(settings)
    cohort, new = (
        Cohort(calls, genotypes.loci.chrom_codes, genotypes.loci.positions, 2)
        for calls in (genotypes.calls[:40], genotypes.calls[40:])
    )
    panel = decoder.fit(cohort).panel()
    whole = decoder.impute_new(panel, new)
    part = decoder.impute_new(panel, new, wanted=(300, 340))
    assert part.first > 0
    assert part.posterior.calls.shape[1] < 400
    missing = genotypes.calls[40:, 300:340] == MISSING
    ours, theirs = (posterior.gp(300, 340)[missing] for posterior in (part, whole))
    assert (ours.argmax(1) == theirs.argmax(1)).mean() > 0.98
    assert np.abs(ours - theirs).mean() < 0.01


def test_a_sample_without_a_call_in_the_region_is_filled_from_its_others(tmp_path):
    genotypes, _ = simulate_linked(20, 60)
    calls = genotypes.calls.copy()
    calls[3, :30] = MISSING
    source, model = write(tmp_path / "in.vcf", vcf_of(genotypes.with_calls(calls))), tmp_path / "m.ivae"
    run("train", source, "-o", model, *flags_of(TINY))
    run("impute", source, "--model", model, "--region", "1", "-o", tmp_path / "out.vcf")
    assert (read_vcf(tmp_path / "out.vcf").calls[3] != MISSING).all()


def test_some_samples_of_the_fit_are_filled_as_in_the_whole(folder, tmp_path):
    source, model = folder / "in.vcf.gz", tmp_path / "m.ivae"
    run("train", source, "-o", model, *flags_of({**TINY, "model.decoder": "copying"}))
    run("impute", source, "--model", model, "-o", tmp_path / "whole.vcf.gz")
    run("impute", source, "--model", model, "--samples", "s07,s02", "-o", tmp_path / "some.vcf.gz")
    whole, some = (pysam.bcftools.query("-s", "s02,s07", "-f", "[%GT:%GP;]\n", str(tmp_path / f"{name}.vcf.gz"))
                   for name in ("whole", "some"))  # fmt: skip
    pairs = [pair for pair in zip(whole.split(), some.split(), strict=True) if pair[1] != "./.:.;./.:.;"]
    assert len(pairs) > 150  # a record without a call of the two is not modelled for them
    assert all(one == other for one, other in pairs)


def test_a_region_without_a_record_gives_a_header(folder, tmp_path):
    source, model = folder / "in.vcf.gz", tmp_path / "m.ivae"
    run("train", source, "-o", model, *flags_of(TINY))
    run("impute", source, "--model", model, "--region", "2:9000-", "-o", tmp_path / "none.vcf.gz")
    assert records(tmp_path / "none.vcf.gz") == []
    assert (tmp_path / "none.vcf.gz.tbi").exists()
    done = imputevae("impute", source, "--model", model, "--region", "3", "-o", tmp_path / "3.vcf.gz")
    assert done.returncode == 3


def test_a_dry_run_of_a_region(folder, tmp_path):
    source, model = folder / "in.vcf.gz", tmp_path / "m.ivae"
    run("train", source, "-o", model, *flags_of(TINY))
    for region in ("1:600-795", "2:9000-"):
        done = run("impute", source, "--model", model, "--region", region, "--dry-run", "-o", tmp_path / "x.vcf")
        assert b"Time, about" in done.stderr
    assert not (tmp_path / "x.vcf").exists()


@pytest.mark.parametrize("mode", ["vcf", "bcf"])
def test_names_of_chromosomes_may_hold_colons(tmp_path, mode):
    header = HEADER.replace("ID=1,", "ID=A*01:01,").replace("ID=2,", "ID=A*01,")
    lines = [record("0/0 0/1 ./.", chrom, pos, fmt="GT") for chrom in ("A*01:01", "A*01") for pos in (1, 2, 5)]
    path = write(tmp_path / f"in.{mode}", vcf(*lines, header=header), mode)
    assert read_vcf(path, region="A*01:01").loci.chrom.tolist() == ["A*01:01"] * 3
    assert read_vcf(path, region="A*01:01:2-5").loci.pos.tolist() == [2, 5]
    assert read_vcf(path, region="A*01").loci.chrom.tolist() == ["A*01"] * 3
    assert read_vcf(path, region="A*01:1-2").loci.chrom.tolist() == ["A*01"] * 2


def test_a_region_as_text():
    for text in ("1", "1:5-", "1:5-9", "HLA:01:5-9"):
        assert str(Region.parse(text)) == text
    assert Region.parse("HLA:01", {"HLA:01"}) == Region("HLA:01")
    assert Region.parse("1:1,000-2,000") == Region("1", 1000, 2000)


@pytest.mark.parametrize(("context", "first", "last"), [(0, 50, 54), (3, 47, 57), (1000, 0, 139), (None, 0, 179)])
def test_a_region_is_read_with_loci_on_either_side(folder, context, first, last):
    whole = read_vcf(folder / "in.vcf.gz")
    region = f"1:{whole.loci.pos[50]}-{whole.loci.pos[54]}"
    part = read_vcf(folder / "in.vcf.gz", region=region, context=context)
    assert np.array_equal(part.calls, whole.calls[:, first : last + 1])
    assert part.loci.pos.tolist() == whole.loci.pos[first : last + 1].tolist()
    assert np.flatnonzero(~part.is_context).tolist() == list(range(50 - first, 55 - first))
    assert part.source.rows[~part.is_context].tolist() == [0, 1, 2, 3, 4]
    assert part.source.n_records == 5


def test_far_loci_are_let_go_of_while_reading(folder, monkeypatch):
    monkeypatch.setattr("imputevae_cli.io.vcf_records.BLOCK_CELLS", 100)  # a few records at a time
    whole = read_vcf(folder / "in.vcf.gz")
    part = read_vcf(folder / "in.vcf.gz", region=f"1:{whole.loci.pos[100]}-{whole.loci.pos[110]}", context=20)
    assert np.array_equal(part.calls, whole.calls[:, 80:131])


def test_a_fit_in_a_region_sees_beyond_it_and_writes_no_more(folder, tmp_path):
    flags = flags_of({**TINY, "model.decoder": "copying"})
    region = ["--region", "1:600-795"]
    for overlap in ("0", "1000"):
        run("impute", folder / "in.vcf.gz", *region, "--overlap", overlap, "-o", tmp_path / f"{overlap}.vcf", *flags)
    alone, beside = (records(tmp_path / f"{overlap}.vcf") for overlap in ("0", "1000"))
    assert len(alone) == len(beside) == 20
    assert alone != beside
    run("train", folder / "in.vcf.gz", *region, "-o", tmp_path / "m.ivae", *flags)
    run("impute", folder / "in.vcf.gz", *region, "--model", tmp_path / "m.ivae", "-o", tmp_path / "again.vcf")
    assert records(tmp_path / "again.vcf") == beside


def test_a_region_that_is_context_alone_is_no_reason_to_fit(folder):
    with pytest.raises(InputError, match="no record lies in --region 2:9000-"):
        read_vcf(folder / "in.vcf.gz", region="2:9000-", context=10)
