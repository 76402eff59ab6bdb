import io
import os
import sys
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vcf_maker import HEADER, record, vcf, write

from imputevae_cli.data.evidence import HAS_ALT, HAS_REF
from imputevae_cli.data.popmap import PopMap
from imputevae_cli.errors import ConfigError, InputError
from imputevae_cli.io import vcf_reader, vcf_records
from imputevae_cli.io.vcf_reader import read_vcf

TWO = record("0/0 0/1 1/1", pos=1) + record("./. 0|1 1|1", pos=2)


def read(tmp_path, *records, mode="vcf", samples=("a", "b", "c"), **options):
    return read_vcf(write(tmp_path / "in.vcf", vcf(*records, samples=samples), mode), **options)


@pytest.mark.parametrize("mode", ["vcf", "gzip", "bgzf", "bcf"])
def test_every_kind_of_file_reads_the_same(tmp_path, mode):
    genotypes = read(tmp_path, TWO, record("1/0 0/0 .", "2", 7, "ACT", "A", fmt="GT"), mode=mode)
    assert genotypes.calls.tolist() == [[0, -1, 1], [1, 1, 0], [2, 2, -1]]
    assert genotypes.calls.dtype == np.int8
    assert genotypes.samples == ("a", "b", "c")
    assert genotypes.loci.chrom.tolist() == ["1", "1", "2"]
    assert genotypes.loci.pos.tolist() == [1, 2, 7]
    assert genotypes.loci.ref.tolist() == ["A", "A", "ACT"]
    assert genotypes.ploidy == 2
    assert genotypes.source.rows.tolist() == [0, 1, 2]
    assert genotypes.source.n_records == 3
    assert genotypes.populations is None


def test_standard_input_is_spooled(tmp_path, monkeypatch):
    text = vcf(TWO).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    genotypes = read_vcf("-", spool_dir=tmp_path)
    assert genotypes.source.name == "standard input"
    assert genotypes.source.path.read_bytes() == text
    assert genotypes.source.path.parent == tmp_path


def test_a_pipe_is_spooled(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    feeder = threading.Thread(target=pipe.write_text, args=(vcf(TWO),))
    feeder.start()
    genotypes = read_vcf(pipe, spool_dir=tmp_path)
    feeder.join()
    assert genotypes.calls.shape == (3, 2)
    assert genotypes.source.name == str(pipe)


def test_half_calls_and_missing_calls_of_every_spelling(tmp_path):
    cells = ["./1", "0/.", ".|1", ".", "./.", ".|.", "0|1", "1/1:5", ".:3"]
    genotypes = read(tmp_path, record(cells, fmt="GT:DP"), record(["0/0"] * 9), samples="abcdefghi")
    assert genotypes.calls[:, 0].tolist() == [-1, -1, -1, -1, -1, -1, 1, 2, -1]


def test_half_calls_keep_the_allele_that_is_seen(tmp_path):
    genotypes = read(
        tmp_path,
        record("0/0 ./1 0/1"),
        record("./1 1/2 0/0", alt="C,T"),
        record("0 1 .", pos=150),
        record("0/. 0/1 ./1", pos=200),
        record("./. 1/1 .|0", pos=300),
    )
    # The record of two ALT alleles is two loci, and what it shows is C, which is no T
    assert seen(genotypes) == [[0, 2, 1, 1, 0], [2, 0, 0, 0, 0], [0, 0, 0, 2, 1]]
    kept = genotypes.at_loci(np.array([True, False, False, False, True]))
    assert seen(kept) == [[0, 0], [2, 0], [0, 1]]
    assert read(tmp_path, TWO).evidence is None
    chosen = read_vcf(write(tmp_path / "in.vcf", vcf(record("0/0 ./1 0/1"), record("./1 0/1 ./0"))), samples=["a", "c"])
    assert seen(chosen) == [[0, 2], [0, 1]]


def seen(genotypes):
    """The codes of half-calls, and 0 for all else."""
    codes = genotypes.evidence.codes
    return np.where((codes == HAS_REF) | (codes == HAS_ALT), codes, 0).tolist()


def test_a_byte_order_mark(tmp_path):
    for mode in ("vcf", "gzip", "bgzf"):
        path = write(tmp_path / "in.vcf.gz", b"\xef\xbb\xbf" + vcf(TWO).encode(), mode)
        assert read_vcf(path).calls.shape == (3, 2)


@pytest.mark.parametrize("mode", ["vcf", "gzip", "bgzf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_last_record_without_a_newline_is_read_with_a_warning(tmp_path, caplog, mode, end):
    text = vcf(TWO, record("0/0:3 ./.:4 0|1:5", fmt="GT:DP")).replace("\n", end)[: -len(end)]
    genotypes = read_vcf(write(tmp_path / "in.vcf.gz", text, mode))
    assert genotypes.calls.tolist() == [[0, -1, 0], [1, 1, -1], [2, 2, 1]]
    assert caplog.text.count("line 16, the last, does not end with a newline, but is whole") == 1


def test_padded_column_names(tmp_path):
    text = vcf(TWO).replace("\tINFO\tFORMAT\t", "\tINFO    \tFORMAT \t").replace("#CHROM\tPOS", "#CHROM \t POS")
    assert read_vcf(write(tmp_path / "in.vcf", text)).samples == ("a", "b", "c")


@pytest.mark.parametrize(
    ("ref", "alt"), [("A", "-"), ("1", "2"), (".", "A"), ("A", "N"), ("-", "AT"), ("a", "r"), ("0", "1")]
)
def test_any_two_alleles_are_biallelic(tmp_path, ref, alt):
    genotypes = read(tmp_path, TWO, record("0/0 0/1 1/1", ref=ref, alt=alt))
    assert genotypes.source.passed_through == {}
    assert (genotypes.loci.ref[-1], genotypes.loci.alt[-1]) == (ref, alt)


@pytest.mark.parametrize("alt", ["<DEL>", "<*>", "A[2:5[", "]2:5]A", ".A", "A.", "G,<NON_REF>", "G,.", "G,"])
def test_alleles_of_a_meaning_of_their_own_pass(tmp_path, alt):
    genotypes = read(tmp_path, TWO, record("0/0 0/1 1/1", alt=alt))
    assert genotypes.source.passed_through == {"symbolic ALT": 1}


@pytest.mark.parametrize(
    ("alt", "reason"),
    [("G,G", "an allele named twice"), ("A", "an allele named twice"), (",".join("CGTBDHKMN"), "more")],
)
def test_allele_lists_that_cannot_be_modelled_pass(tmp_path, alt, reason):
    (found,) = read(tmp_path, TWO, record("0/0 0/1 1/1", alt=alt)).source.passed_through
    assert found.startswith(reason)


V44 = HEADER.replace("VCFv4.2", "VCFv4.4")


def test_phase_prefixes_of_version_4_4(tmp_path):
    cells = "/0/1 |0|1 |1|1 /0|1 |0/1 ./. |.|. /.|1 0|1"
    text = vcf(record(cells), record(cells, pos=200), samples="abcdefghi", header=V44)
    genotypes = read_vcf(write(tmp_path / "in.vcf", text))
    assert genotypes.calls[:, 0].tolist() == [1, 1, 2, 1, 1, -1, -1, -1, 1]
    assert [row for row, codes in enumerate(seen(genotypes)) if any(codes)] == [7]
    haploid = vcf(record("|0 /1 . /."), record("0 1 |1 |."), samples="abcd", header=V44)
    assert read_vcf(write(tmp_path / "in.vcf", haploid)).calls.tolist() == [[0, 0], [1, 1], [-1, 1], [-1, -1]]


@pytest.mark.parametrize("cell", ["||0|1", "/", "|", "0|/1", "|0|1|"])
def test_prefixes_that_are_none(tmp_path, cell):
    with pytest.raises(InputError, match="malformed genotype"):
        read_vcf(write(tmp_path / "in.vcf", vcf(TWO, record(["0/0", cell, "0/1"]), header=V44)))


def test_requested_samples_are_matched_as_they_are_then_without_blanks(tmp_path):
    genotypes = read(tmp_path, TWO, samples=("a ", "b", "c"), popmap=PopMap({"a ": "n", "b ": "s", "c": "n"}))
    assert genotypes.samples == ("a ", "b", "c")
    assert genotypes.populations.tolist() == ["n", "s", "n"]
    assert read_vcf(genotypes.source.path, samples=["a", "c "]).samples == ("a ", "c")


def test_ids_are_kept(tmp_path):
    text = vcf(TWO).replace("\t2\t.\t", "\t2\trs7\t")
    assert read_vcf(write(tmp_path / "in.vcf", text)).loci.ids.tolist() == ["", "rs7"]
    assert read(tmp_path, TWO).loci.ids is None


def test_haploid_file(tmp_path):
    genotypes = read(tmp_path, record("0 1 ."), record("1 ./. 0", pos=200))
    assert genotypes.ploidy == 1
    assert genotypes.calls.tolist() == [[0, 1], [1, -1], [-1, 0]]


@pytest.mark.parametrize("mode", ["vcf", "bcf"])
def test_what_is_not_modelled_is_counted_by_reason(tmp_path, mode):
    genotypes = read(
        tmp_path,
        record("0/1 1/2 2/2", alt="G,<DEL>"),
        record("0/0 0/0 0/1"),
        record("0/0 ./. 0/0", alt="."),
        record("0/0 0/1 0/0", alt="<DEL>"),
        record("0/0 0/1 0/0", alt="A[2:5["),
        record("./. . ./."),
        record("0 1 .", pos=300),
        record("5 6 7", fmt="DP"),
        record("0/0 1/1 0/1", alt="GTC", pos=400),
        mode=mode,
    )
    assert genotypes.source.passed_through == {
        "no ALT": 1, "symbolic ALT": 3, "no call": 1, "a sample of another ploidy than around it": 1, "no GT": 1,
    }  # fmt: skip
    assert genotypes.source.rows.tolist() == [1, 8]
    assert genotypes.calls.tolist() == [[0, 0], [0, 2], [1, 1]]


def test_unsorted_records_and_repeated_positions_keep_their_order(tmp_path):
    genotypes = read(tmp_path, *(record("0/0 0/1 1/1", pos=pos) for pos in (9, 3, 3, 5)))
    assert genotypes.loci.pos.tolist() == [9, 3, 3, 5]


@pytest.mark.parametrize(("region", "rows"), [("1:2-4", [2, 3]), ("1", [1, 2, 3]), ("1:4-", [3]), ("1:1-2", [1, 2])])
def test_region_numbers_rows_among_its_own_records(tmp_path, region, rows):
    positions = [("2", 2), ("1", 1), ("1", 2), ("1", 4), ("2", 9)]
    records = [record("0/0 0/1 1/1", chrom, pos) for chrom, pos in positions] + [record("0/1 0/1 0/1", "1", 5)]
    genotypes = read(tmp_path, *records, region=region)
    first = rows[0]
    wanted = [(c, p) for c, p in [*positions, ("1", 5)] if (c, p) in vcf_reader.Regions.parse([region])]
    assert list(zip(genotypes.loci.chrom, genotypes.loci.pos.tolist(), strict=True)) == wanted
    assert genotypes.source.rows.tolist() == list(range(len(wanted)))
    assert genotypes.source.n_records == len(wanted)
    assert positions[first] in wanted


def test_regions_that_hold_nothing_or_run_backwards(tmp_path):
    with pytest.raises(InputError, match=r"no record lies in --region 3:1-9; the file.s chromosomes are 1, 2$"):
        read(tmp_path, TWO, region="3:1-9")
    with pytest.raises(ConfigError, match="the end is before the start"):
        read(tmp_path, TWO, region="1:9-1")


def test_samples_keep_file_order_and_unknown_ones_are_errors(tmp_path):
    genotypes = read(tmp_path, TWO, samples=("a", "b", "c"))
    kept = read_vcf(genotypes.source.path, samples=["c", "a"])
    assert kept.samples == ("a", "c")
    assert kept.source.columns.tolist() == [0, 2]
    assert kept.calls.tolist() == genotypes.calls[[0, 2]].tolist()
    with pytest.raises(InputError, match="requested sample 'sea' is not in the file"):
        read_vcf(genotypes.source.path, samples=["a", "sea"])


def test_populations_follow_the_kept_samples(tmp_path, caplog):
    popmap = PopMap({"a": "north", "b": "south"})
    genotypes = read(tmp_path, TWO, popmap=popmap, include_pops=["north", "unknown"])
    assert genotypes.samples == ("a", "c")
    assert genotypes.populations.tolist() == ["north", "unknown"]
    with pytest.raises(InputError, match=r"population 'nroth' \(nearest to 'nroth': 'north'\)"):
        read_vcf(genotypes.source.path, popmap, include_pops=["nroth"])
    with pytest.raises(ConfigError, match="needs a popmap"):
        read_vcf(genotypes.source.path, include_pops=["north"])


def test_samples_of_one_ploidy_can_be_kept_from_a_mixed_file(tmp_path):
    genotypes = read(tmp_path, record("0/0 0/1 1"), record("0/0 1/1 ."), record("0/0 0/1 1/1"))
    assert genotypes.source.passed_through == {"a sample of another ploidy than around it": 1}
    assert read_vcf(tmp_path / "in.vcf", samples=["a", "b"]).calls.tolist() == [[0, 0, 0], [1, 2, 1]]


def test_loci_without_a_call_among_the_kept_samples_pass(tmp_path):
    genotypes = read(tmp_path, TWO, record("./. ./. 0/1", pos=3), samples=("a", "b", "c"))
    assert read_vcf(genotypes.source.path, samples=["a", "b"]).source.passed_through == {"no call": 1}


def test_what_a_model_fills_may_lack_any_call_at_a_record(tmp_path):
    records = record("./. ./. ./.", pos=5), record(". . .", "MT", 3), record("0 1 .", "MT", 4)
    genotypes = read(tmp_path, TWO, *records, to_fit=False)
    assert genotypes.loci.pos.tolist() == [1, 2, 5, 3, 4]
    assert (genotypes.calls[:, 2:4] == -1).all()
    assert genotypes.haploid.block(0, 5).any(axis=0).tolist() == [False, False, False, True, True]
    assert genotypes.source.passed_through == {}
    one = read(tmp_path, TWO, *records, samples=("a", "b", "c"), to_fit=False).source.path
    assert read_vcf(one, samples=["a"], to_fit=False).calls.tolist() == [[0, -1, -1, -1, 0]]
    with pytest.raises(InputError, match="every call is missing"):
        read(tmp_path, record("./. ./. ./.", pos=5), to_fit=False)


def test_records_without_a_call_are_of_the_ploidy_of_a_polyploid_file(tmp_path):
    records = record("0/0/0/1 0/0/1/1 .", pos=1), record(". . .", pos=2), record(". . .", pos=3, alt="G,T")
    genotypes = read(tmp_path, *records, to_fit=False)
    assert (genotypes.ploidy, genotypes.loci.pos.tolist()) == (4, [1, 2])
    assert list(genotypes.source.passed_through.values()) == [1]


def test_names_beyond_ascii_and_carriage_returns(tmp_path):
    path = write(tmp_path / "crlf.vcf", vcf(TWO, samples=("ä", "β", "c")).replace("\n", "\r\n"))
    genotypes = read_vcf(path)
    assert genotypes.samples == ("ä", "β", "c")
    assert genotypes.calls.tolist() == [[0, -1], [1, 1], [2, 2]]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), ploidy=st.sampled_from([1, 2]), mode=st.sampled_from(["vcf", "bcf"]))
def test_any_calls_are_read_as_they_are(tmp_path, monkeypatch, data, ploidy, mode):
    """Batches of a few records and matrices wider than a tile are read like small ones."""
    n = data.draw(st.sampled_from([2, 3, 300]))
    n_loci = data.draw(st.integers(2, 40))
    seed = data.draw(st.integers(0, 2**32 - 1))
    monkeypatch.setattr(vcf_records, "BLOCK_CELLS", 8)
    rng = np.random.default_rng(seed)
    calls = rng.integers(-1, ploidy + 1, (n, n_loci)).astype(np.int8)
    calls[0] = np.maximum(calls[0], 0)
    if ploidy == 2:
        spellings = {-1: ["./.", ".", ".|.", "./0", "1/."], 0: ["0/0", "0|0"], 1: ["0/1", "1|0"], 2: ["1/1"]}
    else:
        spellings = {-1: [".", "./."], 0: ["0"], 1: ["1"]}
    records = [
        record([spellings[c][rng.integers(len(spellings[c]))] for c in calls[:, j].tolist()], pos=j + 1)
        for j in range(n_loci)
    ]
    genotypes = read(tmp_path, *records, mode=mode, samples=[f"s{i}" for i in range(n)])
    assert np.array_equal(genotypes.calls, calls)
    assert genotypes.ploidy == ploidy
    assert genotypes.calls.flags.c_contiguous


def test_polyploids_are_counted_by_alt_alleles_and_half_calls_are_evidence(tmp_path):
    genotypes = read(
        tmp_path,
        record("0/0/1/1 0|1|1|1 ./././."),
        record("0/0/0/0 ./1/./1 ./0/1/."),
        record("1/1/1/1 . 0/0/././"[:-1]),
        record("0/0/0 0/1/1 1/1/1"),
        record("0/0/0/0 0/1 0/0/0/1"),
    )
    assert genotypes.ploidy == 4
    assert genotypes.calls.T.tolist() == [[2, 3, -1], [0, -1, -1], [4, -1, -1]]
    assert genotypes.source.passed_through == {"calls of several ploidies": 1, "triploid": 1}
    likelihoods = genotypes.evidence.block(slice(None), 0, 3)
    assert likelihoods[1, 1].tolist() == [0, 1, 1, 1, 1]
    assert likelihoods[2, 1].tolist() == [1, 1, 1, 1, 1], "both are seen: what is excluded has no code"
    assert likelihoods[2, 2].tolist() == [1, 1, 1, 1, 0]


def test_records_of_several_alt_alleles_of_polyploids_pass(tmp_path):
    several = record("0/0/1/2 ./././. 2/2/2/2", alt="C,G")
    tetraploid = [record("0/0/1/1 0/1/1/1 ./././."), several, record("0/0/0/1 0/./1/1 1/1/1/1")]
    others = [record("0/0 0/1 1"), record("0 1 ."), record("0/0 0/0/1/1 0/0/0/0")]
    genotypes = read(tmp_path, *tetraploid, *others)
    assert genotypes.ploidy == 4
    assert genotypes.calls.T.tolist() == [[2, 3, -1], [1, -1, 4]]
    passed = {"several ALT alleles of polyploids": 1, "calls of several ploidies": 2, "haploid": 1}
    assert genotypes.source.passed_through == passed


def test_polyploid_records_among_those_of_haploids_and_diploids_pass(tmp_path):
    rows = [record("0/0 0/1 1"), record("0/1 1/1 0"), record("0/0 0/0/1/1 0"), record("0/0/1/1 0/0/0/1 0/0/0/0")]
    several = [record("1/2 0/2 1", alt="C,G"), record("0/0/1/2 0/0/1/1 0/0/1/1", alt="C,G")]
    genotypes = read(tmp_path, *rows, *several, record("./. 0/1 0"))
    assert genotypes.ploidy == 2
    assert genotypes.calls.tolist() == [[0, 1, 1, 1, -1], [1, 2, 0, 1, 1], [2, 0, 2, 0, 0]]
    assert genotypes.haploid.block(0, None).tolist() == [[False] * 5, [False] * 5, [True] * 5]
    passed = {"calls of several ploidies": 1, "tetraploid": 1, "several ALT alleles of polyploids": 1}
    assert genotypes.source.passed_through == passed
