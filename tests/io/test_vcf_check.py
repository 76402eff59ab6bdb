"""Bad input: one line that names file and place and says how to fix it, and nothing printed beside it."""

import gzip
import re

import pytest
from vcf_maker import HEADER, columns, record, vcf, write

from imputevae_cli.errors import InputError
from imputevae_cli.io.vcf_reader import read_vcf

GOOD = record("0/0 0/1 1/1")
NEXT = record("0/0 ./. 1/1", pos=200)
WHOLE = vcf(GOOD, NEXT)
NAMES = columns("abc")
LINE = 14  # the first record's, in WHOLE

BAD_TEXT = {
    "empty": ("", "the file is empty"),
    "not a VCF": (">chr1\nACGT\n", "not a VCF: line 1"),
    "no fileformat": (WHOLE.split("\n", 1)[1], "not a VCF: line 1"),
    "header only": (vcf(), "no record"),
    "header cut": (HEADER, "no `#CHROM` line"),
    "carriage returns alone": (WHOLE.replace("\n", "\r"), r"in carriage returns alone; convert it, .*`tr '.r' '.n'`"),
    "blank in header": (WHOLE.replace("#CHROM", "\n#CHROM"), "header line 13 is blank"),
    "no samples": (vcf(record(""), samples=()), "names no samples"),
    "no FORMAT": (HEADER + "\t".join(NAMES.split()[:8]) + "\n", "names no samples"),
    "one sample": (vcf(record("0/0"), samples="a"), "1 sample to learn from"),
    "one locus": (vcf(GOOD), "1 record can be modelled, at least 2 are needed .*; give"),
    "one modelled": (vcf(GOOD, record("0/0 0/1 1/1", alt="<DEL>")), r"1 record .*\(not modelled: 1 symbolic ALT\)"),
    "none modelled": (
        vcf(record("0/0 0/1 1/1", alt="<DEL>")),
        r"can be modelled \(1 symbolic ALT\); .*trim-alt-alleles",
    ),
    "all missing": (vcf(record("./. . ./."), record("./. . ./.")), "every call is missing"),
    "no GT": (
        vcf(record("3 4 5", fmt="DP")),
        r"no record has GT in its FORMAT \(DP\); give a file with GT, PL, GL or AD",
    ),
    "GP alone": (vcf(record("1,0,0 0,1,0 0,0,1", fmt="GP")), r"no record has GT .*\(GP\); --likelihoods GP calls"),
    "GT second": (vcf(record("3:0/0 4:0/0 5:0/1", fmt="DP:GT"), NEXT), rf"line {LINE} \(1:100\): GT is not the first"),
    "duplicate names": (WHOLE.replace("\ta\tb\t", "\tb\tb\t"), "sample 'b' is named twice"),
    "empty name": (WHOLE.replace("\ta\tb\t", "\t\tb\t"), "column 10 is empty"),
    "only blanks in #CHROM": (WHOLE.replace(NAMES, NAMES.replace("\t", " ")), "blanks where tabs belong"),
    "columns misnamed": (WHOLE.replace("\tQUAL\t", "\tQ\t"), "does not name the nine VCF columns"),
    "blank line": (vcf(GOOD, "\n", NEXT), f"line {LINE + 1} is blank"),
    "blank line with carriage return": (vcf(GOOD, "\r\n", NEXT), f"line {LINE + 1} is blank"),
    "blank last line": (vcf(GOOD, NEXT, "\n"), f"line {LINE + 2} is blank"),
    "comment": (vcf(GOOD, "#comment\n", NEXT), f"line {LINE + 1} starts with `#`"),
    "commented record": (vcf(GOOD, "#" + GOOD, NEXT), f"line {LINE + 1} starts with `#`"),
    "one column": (vcf(GOOD, "chr1\n", NEXT), f"line {LINE + 1} has one column"),
    "blanks for tabs": (vcf(GOOD, NEXT.replace("\t", " ")), f"line {LINE + 1} has blanks where tabs"),
    "short": (vcf(GOOD, record("0/0 0/1", pos=7)), rf"line {LINE + 1} \(1:7\) has 11 columns, the header 12"),
    "long": (vcf(GOOD, record("0/0 0/1 0/0 0/0", pos=7)), rf"line {LINE + 1} \(1:7\) has 13 columns, the header 12"),
    "bad POS": (
        vcf(GOOD, record("0/0 0/1 0/0", pos="x")),
        rf"line {LINE + 1} \(1:x\): the position x is not a whole number from 0",
    ),
    "empty REF": (vcf(GOOD, record("0/0 0/1 0/0", ref="")), "column 4 is empty"),
    "empty cell": (
        vcf(GOOD, record(["0/0", "", "0/0"])),
        rf"line {LINE + 1} \(1:100\): sample 'b' has the mal.* ''",
    ),
    "bad GT": (
        vcf(GOOD, record("0/0 A/B 0/0", pos=9)),
        rf"line {LINE + 1} \(1:9\): sample 'b' has the mal.* 'A/B'",
    ),
    "prefix phasing": (vcf(GOOD, record("0/0 |0|1 0/0")), "sample 'b' has the malformed genotype '.0.1'"),
    "cut before the last call": (WHOLE[:-4], rf"line {LINE + 1} \(1:200\): .*malformed|may be cut short"),
    "cut in the last call": (WHOLE[:-3], rf"line {LINE + 1}, the last, .*last cell '1' may be cut short"),
    "cut between alleles": (WHOLE[:-2], "the malformed genotype '1/'"),
    "cut in the last record": (WHOLE[:-8], rf"line {LINE + 1} \(1:200\) has 11 columns, the header 12"),
    "cut in the last field": (vcf(GOOD, record("0/0:1 0/0:2 1/1:2", fmt="GT:DP"))[:-3], "'1/1' may be cut short"),
    "nonaploid": (
        vcf(GOOD, record(["0/0", "/".join("011010110"), "0/0"])),
        rf"line {LINE + 1} \(1:100\): sample 'b' has a call of ploidy 9, and imputevae handles ploidy 1 to 8",
    ),
    "mixed ploidy": (vcf(GOOD, record("0/0 0/1 1")), "not modelled: 1 a sample of another ploidy than around it"),
    "a triploid": (vcf(GOOD, record("0/0 0/1/1 0/0")), "not modelled: 1 calls of several ploidies"),
    "allele beyond ALT": (vcf(GOOD, record("0/0 0/3 ./.")), "sample 'b' has allele 3, but ALT lists 1; fix the call"),
    "allele of two digits": (vcf(GOOD, record("0/0 0/10 ./.")), "sample 'b' has allele 10, but ALT lists 1"),
    "haploid allele beyond ALT": (vcf(GOOD, record("0 2 .")), "sample 'b' has allele 2, but ALT lists 1"),
    "allele over 2^31": (vcf(GOOD, record("0/0 0/4294967296 ./.")), "allele over 2.31, but ALT lists 1"),
    "allele of 5,000 digits": (vcf(GOOD, record(["0/0", "9" * 5000, "."])), "allele over 2.31, but ALT lists 1"),
    "too many fields": (vcf(GOOD, record("0/0:1 0/1:1:2 ./.", fmt="GT:DP")), "'b' has more fields than FORMAT names"),
    "fields without names": (vcf(GOOD, record("0/0 0/1:1 ./.")), "'b' has more fields than FORMAT names"),
    "GT twice": (vcf(GOOD, record("0/0:0/0 0/1:0/0 .", fmt="GT:GT")), "GT is not the first"),
    "NUL in a cell": (vcf(GOOD, record("0/0 0/1\0 ./.")), rf"line {LINE + 1} \(1:100\) holds a NUL byte in column 11"),
    "NUL in a name": (WHOLE.replace("\ta\t", "\ta\0x\t"), rf"line {LINE - 1} holds a NUL byte in column 10"),
    "NUL in INFO": (vcf(GOOD, record("0/0 0/1 ./.", info="D\0P=3")), "holds a NUL byte in column 8"),
    "NUL in the header": (WHOLE.replace("##FILTER", "##FIL\0TER"), "line 2 holds a NUL byte"),
    "POS over 2^31": (vcf(GOOD, record("0/0 0/1 0/0", pos=3_000_000_000)), r"the position is beyond 2,147,483,646"),
    "POS of 5,000 digits": (vcf(GOOD, record("0/0 0/1 0/0", pos="1" * 5000)), "the position is beyond 2,147,483,646"),
    "negative POS": (vcf(GOOD, record("0/0 0/1 0/0", pos=-5)), "the position -5 is not a whole number from 0"),
    "digits of another script": (vcf(GOOD, record("0/0 0/1 0/0", pos="१")), "is not a whole number from 0"),
    "allele beyond no ALT": (vcf(GOOD, record("0/0 0/1 ./.", alt=".")), "sample 'b' has allele 1, but ALT lists 0"),
    "allele beyond two": (vcf(GOOD, record("0/0 0/2 3|0", alt="C,T")), "sample 'c' has allele 3, but ALT lists 2"),
}


MALFORMED = [
    "NA",
    "N/N",
    "-9/-9",
    "-/-",
    " ",
    "-9",
    "0/",
    "/",
    "0//1",
    "A",
    "0/1/",
    "./",
    "1|",
    "0\\1",
    "+1/0",
    "é",
    "0 /1",
]
for cell in MALFORMED:
    cells = ["0/0", cell, "./."]
    BAD_TEXT[f"first call {cell!r} of a contig that the header lacks"] = (
        vcf(record(cells, chrom="nowhere"), NEXT), rf"line {LINE} \(nowhere:100\): sample 'b' has the malformed"
    )  # fmt: skip


def refusal(path, capfd) -> str:
    with pytest.raises(InputError) as error:
        read_vcf(path)
    printed = capfd.readouterr()
    assert printed.err == printed.out == ""
    message = str(error.value)
    assert message.isprintable()
    assert len(message) < 500
    assert message.startswith(str(path))
    return message


@pytest.mark.parametrize("mode", ["vcf", "bgzf"])
@pytest.mark.parametrize("case", BAD_TEXT)
def test_bad_text(tmp_path, capfd, case, mode):
    text, message = BAD_TEXT[case]
    path = write(tmp_path / "in.vcf.gz", text, mode)
    assert re.search(message, refusal(path, capfd))


def test_the_file_that_the_bad_ones_are_made_of_is_good(tmp_path):
    assert read_vcf(write(tmp_path / "in.vcf", WHOLE)).calls.shape == (3, 2)


def test_names_that_are_not_utf8(tmp_path, capfd):
    path = write(tmp_path / "in.vcf", WHOLE.replace("\ta\t", "\té\t").encode("latin-1"))
    assert "not UTF-8" in refusal(path, capfd)


def test_chromosomes_that_are_not_utf8(tmp_path, capfd):
    path = write(tmp_path / "in.vcf", vcf(GOOD, record("0/0 0/1 ./.", chrom="é")).encode("latin-1"))
    assert "chromosome's name is not UTF-8" in refusal(path, capfd)


@pytest.mark.parametrize("column", ["ref", "alt"])
def test_alleles_that_are_not_utf8(tmp_path, capfd, column):
    path = write(tmp_path / "in.vcf", vcf(GOOD, record("0/0 0/1 ./.", **{column: "Aé"})).encode("latin-1"))
    assert f"line {LINE + 1} (1:100): the {column.upper()} allele is not UTF-8" in refusal(path, capfd)


def test_utf16(tmp_path, capfd):
    assert "UTF-16" in refusal(write(tmp_path / "in.vcf", WHOLE.encode("utf-16")), capfd)


@pytest.mark.parametrize(
    ("data", "name"),
    [(b"\x28\xb5\x2f\xfd", "zstd"), (b"BZh91AY", "bzip2"), (b"\xfd7zXZ\0", "xz"), (b"PK\3\4", "zip")],
)
def test_other_compressions_are_named(tmp_path, capfd, data, name):
    path = write(tmp_path / "in.vcf.zst", data + bytes(100))
    assert f"is compressed with {name}, which is not read; decompress it" in refusal(path, capfd)


def test_urls_are_named(capfd):
    for url in ("https://host/cohort.vcf.gz", "s3://bucket/cohort.bcf"):
        with pytest.raises(InputError, match="is a URL, and files are read from disk alone; download it first"):
            read_vcf(url)


def test_names_of_any_length_and_with_control_characters_make_one_short_line(tmp_path, capfd):
    record_ = record(["0/0", "\x1b[31m\x07" + "A" * 200_000, "./."], chrom="c" * 200_000)
    message = refusal(write(tmp_path / "in.vcf", vcf(GOOD, record_)), capfd)
    assert message.endswith("fix it, or set it to `./.`")
    assert r"\x1b[31m\x07" in message


def test_a_bcf_with_a_nul_in_its_header(tmp_path, capfd):
    data = gzip.decompress(write(tmp_path / "in.bcf", WHOLE, "bcf").read_bytes())
    path = write(tmp_path / "nul.bcf", data.replace(b"\ta\tb\tc\n", b"\ta\0b\tc\n", 1), "bgzf")
    assert "the BCF header holds a NUL byte" in refusal(path, capfd)


def test_a_bcf_that_crashes_htslib_ends_a_process_of_its_own(tmp_path, capfd, monkeypatch):
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    monkeypatch.setattr("imputevae_cli.io.bcftools._PROGRAM", crash)
    path = write(tmp_path / "in.bcf", WHOLE, "bcf")
    assert "htslib crashed: SIGSEGV" in refusal(path, capfd)


def test_header_texts_need_not_be_utf8(tmp_path):
    path = write(tmp_path / "in.vcf", WHOLE.replace("##FILTER", "##source=é\n##FILTER").encode("latin-1"))
    assert read_vcf(path).calls.shape == (3, 2)


@pytest.mark.parametrize("mode", ["gzip", "bgzf", "bcf"])
@pytest.mark.parametrize("left", [0.5, 0.98])
def test_truncation(tmp_path, capfd, mode, left):
    records = [record("0/0 0/1 1/1", pos=p, info=f"DP={p * 7919 % 9973}") for p in range(1, 20000)]
    data = write(tmp_path / "in.vcf.gz", vcf(*records), mode).read_bytes()
    path = write(tmp_path / "in.vcf.gz", data[: int(len(data) * left)])
    assert "cut short" in refusal(path, capfd)


@pytest.mark.parametrize("mode", ["bgzf", "bcf"])
def test_missing_end_block(tmp_path, capfd, mode):
    data = write(tmp_path / "in.vcf.gz", WHOLE, mode).read_bytes()
    assert "end-of-file block is missing" in refusal(write(tmp_path / "in.vcf.gz", data[:-28]), capfd)


@pytest.mark.parametrize("mode", ["gzip", "bgzf", "bcf"])
def test_flipped_bits(tmp_path, capfd, mode):
    records = [record("0/0 0/1 1/1", pos=p, info=f"DP={p * 7919 % 9973}") for p in range(1, 20000)]
    data = bytearray(write(tmp_path / "in.vcf.gz", vcf(*records), mode).read_bytes())
    data[len(data) // 2] ^= 0xFF
    refusal(write(tmp_path / "in.vcf.gz", bytes(data)), capfd)


@pytest.mark.parametrize("case", ["all missing", "one locus", "nonaploid", "mixed ploidy", "allele beyond ALT"])
def test_bad_bcf(tmp_path, capfd, case):
    text, message = BAD_TEXT[case]
    path = write(tmp_path / "in.bcf", text, "bcf")
    capfd.readouterr()
    message = message.replace(f"line {LINE + 1} ", "record 2 ")
    assert re.search(message, refusal(path, capfd))


def test_absent_file_and_folder(tmp_path, capfd):
    assert "no such file" in refusal(tmp_path / "none.vcf", capfd)
    assert "is a folder" in refusal(tmp_path, capfd)
