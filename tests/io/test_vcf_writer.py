import dataclasses
import gzip
import io
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pysam.bcftools
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vcf_maker import HEADER, Filled, record, vcf, write

from imputevae_cli.errors import InputError, OutputError
from imputevae_cli.imputed import ImputedGenotypes
from imputevae_cli.io import vcf_filled, vcf_writer
from imputevae_cli.io.vcf_info import impute_info
from imputevae_cli.io.vcf_reader import read_vcf
from imputevae_cli.io.vcf_writer import write_vcf

GOLDEN = Path(__file__).parent / "golden"
ADDED = 7  # header lines that the writer adds


def fill(genotypes, out, output_type="v", **options):
    return write_vcf(
        out, Filled(genotypes, **options), output_type=output_type, command="imputevae impute", version="1.2"
    )


def filled(tmp_path, *records, samples=("a", "b", "c"), mode="vcf", header=HEADER, keep=None, **options) -> list[list]:
    """The fields of the records written for `records`."""
    path = write(tmp_path / "in.vcf", vcf(*records, samples=samples, header=header), mode)
    fill(read_vcf(path, samples=keep), tmp_path / "out.vcf", **options)
    return fields(tmp_path / "out.vcf")


def fields(path) -> list[list[str]]:
    data = path.read_bytes()
    data = gzip.decompress(data) if path.name.endswith("gz") else data
    return [line.split("\t") for line in data.decode().split("\n")[:-1] if not line.startswith("#")]


def test_golden_file(tmp_path):
    """Regenerate with `python tests/io/golden/regenerate.py`, then read the difference."""
    summary = fill(read_vcf(GOLDEN / "input.vcf"), tmp_path / "out.vcf", silent=[3])
    assert (tmp_path / "out.vcf").read_bytes() == (GOLDEN / "output.vcf").read_bytes()
    assert (summary.records, summary.modelled, summary.imputed, summary.missing) == (9, 5, 6, 2)


def test_blocks_are_filled_ahead_in_order_and_the_file_is_the_same_by_any_number_of_threads(tmp_path, monkeypatch):
    monkeypatch.setattr(vcf_filled, "BLOCK_BYTES", 1)  # the least loci at a time
    records = [record("0/0 ./. 1/1" if pos % 3 else "0/1 0/0 .", pos=pos) for pos in range(1, 51)]
    genotypes = read_vcf(write(tmp_path / "in.vcf", vcf(*records, samples=("a", "b", "c"))))
    asked, texts = [], []
    block = Filled.block
    monkeypatch.setattr(Filled, "block", lambda self, *loci: asked.append(loci) or block(self, *loci))
    for threads in (1, 3):
        write_vcf(tmp_path / "out.vcf", Filled(genotypes), output_type="v", command="", version="1", threads=threads)
        texts.append((tmp_path / "out.vcf").read_bytes())
        assert asked == [(0, 16), (16, 32), (32, 48), (48, 50)]
        asked.clear()
    assert texts[0] == texts[1]


@pytest.mark.parametrize("threads", [1, 2])
def test_what_a_block_raises_is_raised_and_no_file_is_left(tmp_path, monkeypatch, threads):
    def fail(self, start, stop):
        raise InputError("no such block")

    genotypes = read_vcf(write(tmp_path / "in.vcf", vcf(record("0/0 ./."), record("0/1 1/1"), samples=("a", "b"))))
    monkeypatch.setattr(Filled, "block", fail)
    with pytest.raises(InputError, match="no such block"):
        write_vcf(tmp_path / "out.vcf", Filled(genotypes), output_type="v", command="", version="1", threads=threads)
    assert [path.name for path in tmp_path.iterdir()] == ["in.vcf"]


def test_fills_missing_calls_alone(tmp_path):
    rows = filled(tmp_path, record("0|1 ./. 1/1"), record("0/0 0/. ."))
    assert rows[0][7:] == [
        "INFO=0.414;NIMP=1",
        "GT:GP:DS:IMP",
        "0|1:0,1,0:1:0",
        "0/1:0.1,0.7,0.2:1.1:1",
        "1/1:0,0,1:2:0",
    ]
    assert rows[1][9:] == ["0/0:1,0,0:0:0", "0/1:0.1,0.7,0.2:1.1:1", "0/1:0.1,0.7,0.2:1.1:1"]


def test_haploid_calls_stay_haploid(tmp_path):
    rows = filled(tmp_path, record("0 1 ."), record("1 ./. 1"))
    assert rows[0][9:] == ["0:1,0:0:0", "1:0,1:1:0", "1:0.3,0.7:0.7:1"]
    assert rows[1][10] == "1:0.3,0.7:0.7:1"


def test_a_sample_without_calls_gets_points(tmp_path):
    rows = filled(tmp_path, record("0/0 1/1 ./."), record("0/1 ./. .|."), silent=[2])
    assert rows[0][11] == "./.:.:.:0"
    assert rows[1][10:] == ["0/1:0.1,0.7,0.2:1.1:1", ".|.:.:.:0"]
    assert rows[0][7] == "NIMP=0"


def test_a_doubtful_call_stays_as_it_was_and_keeps_its_probabilities(tmp_path):
    rows = filled(tmp_path, record("0/0 1/1 ./1", info="AC=3;AN=5"), record("0/1 0/0 1/1"), doubtful=[0])
    assert rows[0][11] == "./1:0.1,0.7,0.2:1.1:0"
    assert rows[0][7] == "AC=3;AN=5;NIMP=0"


def test_fields_that_were_dropped_at_the_end_are_padded(tmp_path):
    rows = filled(
        tmp_path, record("0/0 ./. .:3,4:5", fmt="GT:AD:DP"), record("0/0:1,2:3 0/0:1 ./.:0,0", fmt="GT:AD:DP")
    )
    assert rows[0][9:] == ["0/0:.:.:1,0,0:0:0", "0/1:.:.:0.1,0.7,0.2:1.1:1", "0/1:3,4:5:0.1,0.7,0.2:1.1:1"]
    assert rows[1][9:11] == ["0/0:1,2:3:1,0,0:0:0", "0/0:1:.:1,0,0:0:0"]


def test_fields_of_the_same_name_and_kind_are_replaced_and_that_is_said(tmp_path, caplog):
    caplog.set_level("INFO", logger="imputevae")
    records = [
        record("0/0:9:1 ./.:8:2 1/1", fmt="GT:DS:DP", info="INFO=0.5;NIMP=3;DP=4"),
        record("0/0 0/1 1/1"),
        record("0/0:9 0/1:8 1/1:3", fmt="GT:DS", alt="<DEL>", info="INFO=0.5"),
    ]
    header = HEADER + '##FORMAT=<ID=DS,Number=1,Type=Float,Description="old">\n'
    header += '##INFO=<ID=INFO,Number=1,Type=Float,Description="old">\n##INFO=<ID=NIMP,Number=1,Type=Integer>\n'
    rows = filled(tmp_path, *records, header=header)
    assert rows[0][8:11] == ["GT:DP:GP:DS:IMP", "0/0:1:1,0,0:0:0", "0/1:2:0.1,0.7,0.2:1.1:1"]
    assert rows[0][7] == "DP=4;INFO=0.414;NIMP=1"
    assert rows[2][7:] == ["INFO=0.5", "GT:DS", "0/0:9", "0/1:8", "1/1:3"]
    text = (tmp_path / "out.vcf").read_text()
    assert text.count("##FORMAT=<ID=DS,") == 1
    assert "##FORMAT=<ID=DS,Number=A,Type=Float" in text
    assert "the input's own FORMAT/DS, INFO/INFO, INFO/NIMP are replaced where calls are imputed" in caplog.text


CLASHES = {
    "IMP String": ('##FORMAT=<ID=IMP,Number=1,Type=String,Description="impact">\n', "GT:IMP", "severe", "."),
    "IMP Float": ('##FORMAT=<ID=IMP,Number=1,Type=Float,Description="x">\n', "GT:IMP", "0.5", "."),
    "DS String": ('##FORMAT=<ID=DS,Number=1,Type=String,Description="dose">\n', "GT:DS", "high", "."),
    "GP String": ('##FORMAT=<ID=GP,Number=1,Type=String,Description="group">\n', "GT:GP", "north", "."),
    "GP of three": ('##FORMAT=<ID=GP,Number=3,Type=Float,Description="x">\n', "GT:GP", "0.1,0.2,0.7", "."),
    "IMP undeclared": ("", "GT:IMP", "severe", "."),
    "INFO String": ('##INFO=<ID=INFO,Number=.,Type=String,Description="free, ID=GP">\n', "GT", None, "INFO=a,b"),
    "INFO Flag": ('##INFO=<ID=INFO,Number=0,Type=Flag,Description="x">\n', "GT", None, "DB;INFO"),
    "NIMP String": ('##INFO=<ID=NIMP,Number=1,Type=String,Description="x">\n', "GT", None, "NIMP=few"),
}


@pytest.mark.parametrize("case", CLASHES)
@pytest.mark.parametrize("mode", ["v", "b"])
def test_fields_of_another_kind_are_kept_under_another_name(tmp_path, caplog, capfd, case, mode):
    declared, fmt, value, info = CLASHES[case]
    cells = [gt if value is None else f"{gt}:{value}" for gt in ("0/0", "./.", "0/1")]
    own = '##INFO=<ID=DB,Number=0,Type=Flag,Description="x">\n' + declared
    records = [record(cells, pos=1, fmt=fmt, info=info), record("0/0 ./. 1/1", pos=2)]
    records += [record(cells, pos=3, alt="C,T", fmt=fmt, info=info)]
    path = write(tmp_path / "in.vcf", vcf(*records, header=HEADER + own))
    fill(read_vcf(path), tmp_path / "out", mode)
    rows = [line.split("\t") for line in pysam.bcftools.view("-H", str(tmp_path / "out")).split("\n")[:-1]]
    assert capfd.readouterr().err == ""
    key = case.split()[0]
    assert f"it is kept as INPUT_{key}" in caplog.text
    for row in (rows[0], rows[2]):
        if value:
            place = row[8].split(":").index(f"INPUT_{key}")
            assert {cell.split(":")[place] for cell in row[9:]} == {value}
        else:
            assert info.replace(key, f"INPUT_{key}", 1) in row[7]
    assert rows[2][9].split(":")[0] == "0/0"
    header = pysam.bcftools.view("-h", str(tmp_path / "out"))
    assert header.count(f"<ID=INPUT_{key},") == header.count(f"=<ID={key},") == 1


def test_counts_follow_the_calls_where_they_are_present(tmp_path):
    info = "NS=2;AC=2;DP=7;AN=4;AF=0.5"
    rows = filled(tmp_path, record("0/0 1/1 ./.", info=info), record("0/0 0/1 1/1", info="AF=0.50;AN=2"))
    assert rows[0][7] == "NS=3;AC=3;DP=7;AN=6;AF=0.5;INFO=0.414;NIMP=1"
    assert rows[1][7] == "AF=0.50;AN=6;NIMP=0"  # a frequency that says the same stays as it was, a wrong count does not


def test_a_frequency_that_changes_is_rewritten(tmp_path):
    rows = filled(tmp_path, record("0/0 0/0 ./.", info="AF=0.0;AC=0"), record("0/0 ./. 1/1", info="AF=0.3"))
    assert rows[0][7] == "AF=0.166667;AC=1;INFO=0.414;NIMP=1"
    assert rows[1][7] == "AF=0.5;INFO=0.414;NIMP=1"
    rows = filled(tmp_path, record("0/0 0/0 ./.", info="AF=0.2"), record("0/0 ./. 1/1", info="AF=5e-1"))
    assert rows[0][7] == "AF=0.166667;INFO=0.414;NIMP=1", "a value that the new one rounds to is stale too"
    assert rows[1][7] == "AF=5e-1;INFO=0.414;NIMP=1"


def test_samples_are_subset_with_counts_that_fit(tmp_path):
    rows = filled(
        tmp_path,
        record("0/0 1/1 ./.", info="AC=2;AN=4"),
        record("0/1 1/2 2|2:9", alt="C,T", info="AC=2,3;AN=6;AF=0.333,0.5;NS=3", fmt="GT:DP"),
        record("1/1 0/1 0/0"),
        keep=["c", "a"],
    )
    assert rows[0][7:] == ["AC=1;AN=4;INFO=0.414;NIMP=1", "GT:GP:DS:IMP", "0/0:1,0,0:0:0", "0/1:0.1,0.7,0.2:1.1:1"]
    assert rows[1][7:] == [
        "AC=1,2;AN=4;AF=0.25,0.5;NS=2;NIMP=0",
        "GT:DP:GP:DS:IMP",
        "0/1:.:0,1,0,0,0,0:1,0:0",
        "2|2:9:0,0,0,0,0,1:0,2:0",
    ]
    assert "FORMAT\ta\tc\n" in (tmp_path / "out.vcf").read_text()


def test_region_writes_its_records_alone(tmp_path):
    path = write(tmp_path / "in.vcf", vcf(*(record("0/0 ./. 1/1", pos=p) for p in range(1, 9))))
    summary = fill(read_vcf(path, region="1:3-5"), tmp_path / "out.vcf")
    assert [row[1] for row in fields(tmp_path / "out.vcf")] == ["3", "4", "5"]
    assert summary.records == 3


def test_header_declares_all_and_names_version_and_command(tmp_path):
    filled(tmp_path, record("0/0 ./. 1/1"), record("0/0 ./. 1/1"), header=HEADER + "##imputevae_command=old\n")
    lines = (tmp_path / "out.vcf").read_text().split("\n")
    header = HEADER.split("\n")[:-1]
    assert lines[: len(header)] == header
    added = lines[len(header) : len(header) + ADDED]
    for start in (
        "INFO=<ID=INFO,",
        "INFO=<ID=NIMP,",
        "FORMAT=<ID=GP,Number=G,Type=Float",
        "FORMAT=<ID=DS,Number=A,Type=Float",
    ):
        assert any(line.startswith("##" + start) for line in added)
    assert added[-2:] == ["##imputevae_version=1.2", "##imputevae_command=imputevae impute"]
    assert lines[len(header) + ADDED].startswith("#CHROM")


def test_carriage_returns_are_kept(tmp_path):
    records = (record("0/0 0/1 ./."), record("0/0 0/1 1/1", alt="C,T"), record("./. 0/1 ./."))
    path = write(tmp_path / "in.vcf", vcf(*records).replace("\n", "\r\n"))
    fill(read_vcf(path), tmp_path / "out.vcf")
    crlf = (tmp_path / "out.vcf").read_bytes()
    write(path, vcf(*records))
    fill(read_vcf(path), tmp_path / "out.vcf")
    assert crlf.replace(b"\r\n", b"\n") == (tmp_path / "out.vcf").read_bytes()
    assert crlf.count(b"\r\n") == crlf.count(b"\n")


RECORDS = [record("0/0:3 ./. 1|1:4", pos=p, fmt="GT:DP", info="AC=2;AN=4") for p in range(1, 40)]


@pytest.mark.parametrize("mode", ["vcf", "gzip", "bgzf", "bcf"])
@pytest.mark.parametrize("output_type", ["v", "z", "b"])
def test_every_input_gives_every_output(tmp_path, mode, output_type):
    path = write(tmp_path / "in.vcf.gz", vcf(*RECORDS, record("0/0 0/1 ./.", "2", 7, alt="<DEL>")), mode)
    out = tmp_path / f"out.{output_type}.gz"
    fill(read_vcf(path), out, output_type)
    text = pysam.bcftools.view("-H", "--no-version", str(out))
    rows = [line.split("\t") for line in text.split("\n")[:-1]]
    assert len(rows) == 40
    assert rows[0][7:] == [
        "AC=3;AN=6;INFO=0.414;NIMP=1",
        "GT:DP:GP:DS:IMP", "0/0:3:1,0,0:0:0", "0/1:.:0.1,0.7,0.2:1.1:1", "1|1:4:0,0,1:2:0",
    ]  # fmt: skip
    assert rows[-1][8:] == ["GT", "0/0", "0/1", "./."]
    index = {"v": [], "z": [out.name + ".tbi"], "b": [out.name + ".csi"]}[output_type]
    assert sorted(p.name for p in tmp_path.glob("out*")) == sorted([out.name, *index])
    if index:
        assert pysam.bcftools.view("-H", str(out), "1:5-6").count("\n") == 2


def test_unsorted_output_has_no_index_but_a_note(tmp_path, caplog):
    records = [record("0/0 ./. 1/1", pos=p) for p in (5, 3)]
    (tmp_path / "out.vcf.gz.tbi").write_text("stale")
    fill(read_vcf(write(tmp_path / "in.vcf", vcf(*records))), tmp_path / "out.vcf.gz", "z")
    assert [row[1] for row in fields(tmp_path / "out.vcf.gz")] == ["5", "3"]
    assert not (tmp_path / "out.vcf.gz.tbi").exists()
    assert "not sorted, so no index" in caplog.text


def test_a_chromosome_that_comes_back_is_not_sorted(tmp_path, caplog):
    records = [record("0/0 ./. 1/1", chrom=c) for c in "121"]
    fill(read_vcf(write(tmp_path / "in.vcf", vcf(*records))), tmp_path / "out.vcf.gz", "z")
    assert not (tmp_path / "out.vcf.gz.tbi").exists()
    assert "not sorted" in caplog.text


def test_positions_beyond_tbi_get_a_csi(tmp_path):
    records = [record("0/0 ./. 1/1", pos=p) for p in (1, 2**29 + 5)]
    header = HEADER.replace("##contig=<ID=1,length=100000>", "##contig=<ID=1,length=700000000>")
    fill(read_vcf(write(tmp_path / "in.vcf", vcf(*records, header=header))), tmp_path / "out.vcf.gz", "z")
    assert (tmp_path / "out.vcf.gz.csi").exists()


def test_bcf_holds_records_whose_tags_and_contig_are_not_declared(tmp_path, capfd):
    header = '##fileformat=VCFv4.2\n##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
    records = [
        record("0/0:5 ./.:. 1/1:x", "scaffold", p, info="XX=3,4;FLAG", fmt="GT:YY").replace("PASS", "q10;q20")
        for p in (1, 2)
    ]
    path = write(tmp_path / "in.vcf", vcf(*records, header=header))
    fill(read_vcf(path), tmp_path / "out.bcf", "b")
    rows = [line.split("\t") for line in pysam.bcftools.view("-H", str(tmp_path / "out.bcf")).split("\n")[:-1]]
    assert [row[1] for row in rows] == ["1", "2"]
    assert rows[0][6:8] == ["q10;q20", "XX=3,4;FLAG;INFO=0.414;NIMP=1"]
    assert rows[0][9] == "0/0:5:1,0,0:0:0"
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("output_type", ["v", "z", "b"])
def test_a_failure_leaves_nothing_behind(tmp_path, output_type):
    genotypes = read_vcf(write(tmp_path / "in.vcf", vcf(*RECORDS)))
    out = tmp_path / "made" / "out.vcf.gz"
    out.parent.mkdir()

    class Stopped(Filled):
        def block(self, start, stop):
            if start:
                raise KeyboardInterrupt
            return super().block(start, stop)

    genotypes = read_vcf(write(tmp_path / "in.vcf", vcf(*(record("0/0 ./. 1/1", pos=p) for p in range(1, 6000)))))
    with pytest.raises(KeyboardInterrupt):
        write_vcf(out, Stopped(genotypes), output_type=output_type, command="c", version="1")
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize("output_type", ["v", "z", "b"])
def test_full_disk_is_one_line(tmp_path, output_type, monkeypatch, capfd):
    """/dev/full stands in for the temporary file."""
    genotypes = read_vcf(write(tmp_path / "in.vcf", vcf(*RECORDS)))
    encode = vcf_writer._encode
    monkeypatch.setattr(vcf_writer, "_encode", lambda file, *rest: encode(Path("/dev/full"), *rest))
    if output_type == "b":
        monkeypatch.setattr(vcf_writer, "_encode_bcf", lambda file, *rest: _bcf_to_full_disk(tmp_path, *rest))
    out = tmp_path / "made" / "out.vcf.gz"
    out.parent.mkdir()
    with pytest.raises(OutputError, match="cannot be written") as error:
        fill(genotypes, out, output_type)
    del error
    assert list(out.parent.iterdir()) == []
    printed = capfd.readouterr()
    assert printed.err == printed.out == ""


def _bcf_to_full_disk(tmp_path, walk, threads):
    link = tmp_path / "full.bcf"
    link.symlink_to("/dev/full")
    return ENCODE_BCF(link, walk, threads)


ENCODE_BCF = vcf_writer._encode_bcf


def test_standard_output(tmp_path, monkeypatch):
    genotypes = read_vcf(write(tmp_path / "in.vcf", vcf(*RECORDS)))
    outputs = {}
    for kind in "vzb":
        buffer = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, write_through=True))
        fill(genotypes, "-", kind)
        outputs[kind] = buffer.getvalue()
        monkeypatch.undo()
    fill(genotypes, tmp_path / "out.vcf")
    assert outputs["v"] == gzip.decompress(outputs["z"]) == (tmp_path / "out.vcf").read_bytes()
    assert gzip.decompress(outputs["b"]).startswith(b"BCF")


def test_a_reader_that_goes_away_ends_the_writing_cleanly(tmp_path):
    write(tmp_path / "in.vcf", vcf(*(record("0/0 ./. 1/1", pos=p) for p in range(1, 30000))))
    program = (
        "import sys; sys.path[:0] = ['tests', '.']\n"
        "from vcf_maker import Filled\nfrom imputevae_cli.io.vcf_reader import read_vcf\n"
        "from imputevae_cli.io.vcf_writer import write_vcf\n"
        f"g = read_vcf({str(tmp_path / 'in.vcf')!r})\n"
        "write_vcf('-', Filled(g), output_type='v', command='c', version='1')\n"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=GOLDEN.parent.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.read(100)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 0


def test_a_file_that_changed_is_refused(tmp_path):
    path = write(tmp_path / "in.vcf", vcf(*RECORDS))
    genotypes = read_vcf(path)
    for changed in (RECORDS[1:], RECORDS[:-1], [*RECORDS, RECORDS[-1]]):
        write(path, vcf(*changed))
        with pytest.raises(InputError, match="changed while it was imputed"):
            fill(genotypes, tmp_path / "out.vcf")
        assert not (tmp_path / "out.vcf").exists()


def test_genotypes_without_a_file_cannot_be_written(tmp_path):
    from dataclasses import replace

    genotypes = replace(read_vcf(write(tmp_path / "in.vcf", vcf(*RECORDS))), source=None)
    with pytest.raises(OutputError, match="not read from a VCF"):
        fill(genotypes, tmp_path / "out.vcf")


def test_two_writes_are_byte_identical(tmp_path):
    genotypes = read_vcf(write(tmp_path / "in.vcf", vcf(*RECORDS)))
    for kind in "zb":
        fill(genotypes, tmp_path / f"1{kind}", kind)
        fill(genotypes, tmp_path / f"2{kind}", kind)
        assert (tmp_path / f"1{kind}").read_bytes() == (tmp_path / f"2{kind}").read_bytes()


@pytest.mark.parametrize("ploidy", [1, 2])
def test_info_score_is_that_of_the_definition(ploidy):
    rng = np.random.default_rng(ploidy)
    gp = rng.multinomial(1000, [1 / (ploidy + 1)] * (ploidy + 1), size=(30, 4)).astype(np.uint16)
    imputed = rng.random((30, 4)) < 0.5
    imputed[:, 2] = False
    gp[:, 3] = [1000, *[0] * ploidy]
    from imputevae_cli.data.genotypes import ImputedBlock

    score = impute_info(ImputedBlock(gp.argmax(2).astype(np.int8), gp, imputed))
    for j in (0, 1):
        p = gp[imputed[:, j], j] / 1000
        e = sum(k * p[:, k] for k in range(ploidy + 1))
        f = sum(k * k * p[:, k] for k in range(ploidy + 1))
        theta = e.mean() / ploidy
        expected = 1 - (f - e**2).sum() / (ploidy * len(p) * theta * (1 - theta))
        assert score[j] == pytest.approx(max(expected, 0))
    assert np.isnan(score[2])
    assert score[3] == 1


CELL = st.sampled_from(["0/0", "0|1", "1/1", "./.", ".", "./1", "0/1:3", "./.:4", "1|1:.", ".:7"])
INFO = st.sampled_from([".", "AC=1;AN=2", "DB;DP=3", "AF=0.5", "NS=2;XX"])


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), mode=st.sampled_from(["vcf", "bgzf"]))
def test_all_that_was_known_stays_as_it_was(tmp_path, data, mode):
    n = data.draw(st.integers(2, 5))
    alts = st.sampled_from(["G", "GTT", "C,<DEL>", ".", "<DEL>", "*"])
    shape = st.lists(st.tuples(alts, INFO, st.lists(CELL, min_size=n, max_size=n)), min_size=1, max_size=8)
    rows = [("G", ".", ["0/0"] * n)] * 2 + data.draw(shape)
    records = [
        record(
            [c.replace("1", "0") for c in cells] if alt == "." else cells, pos=i + 1, alt=alt, info=info, fmt="GT:DP"
        )
        for i, (alt, info, cells) in enumerate(rows)
    ]
    path = write(tmp_path / "in.vcf", vcf(*records, samples=[f"s{i}" for i in range(n)]), mode)
    genotypes = read_vcf(path)
    fill(genotypes, tmp_path / "out.vcf")
    written = fields(tmp_path / "out.vcf")
    before = [line.rstrip("\n").split("\t") for line in records]
    modelled = set(genotypes.source.rows.tolist())
    assert len(written) == len(before)
    for i, (old, new) in enumerate(zip(before, written, strict=True)):
        if i not in modelled:
            assert new == old
            continue
        assert new[:7] == old[:7]
        for old_cell, new_cell in zip(old[9:], new[9:], strict=True):
            gt, depth = [*old_cell.split(":"), "."][:2]
            new_gt, new_depth, gp, dosage, imp = new_cell.split(":")
            assert new_depth == depth
            assert new_gt == (gt if "." not in gt else "0/1")
            assert imp == str(int("." in gt))
            p = [float(x) for x in gp.split(",")]
            assert sum(p) == pytest.approx(1)
            assert float(dosage) == pytest.approx(p[1] + 2 * p[2])
            assert sum(int(allele) for allele in new_gt.replace("|", "/").split("/")) == int(np.argmax(p))


needs_bcftools = pytest.mark.skipif(not shutil.which("bcftools"), reason="needs bcftools")
COUNTED = "AC,AN,AF,NS,MAF,F_MISSING"


@needs_bcftools
@pytest.mark.parametrize("seed", range(6))
def test_counts_agree_with_fill_tags(tmp_path, seed):
    """What is written for the counts is what bcftools counts in the output, half-calls and all."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 9))
    spellings, values = ["0/0", "0|1", "1/1", "./.", ".", "./1", "0/."], ["0", "0.1", "0.33", "0.333", "0.5", "1", "9"]
    records = []
    for i in range(40):
        old = ";".join(f"{key}={rng.choice(values)}" for key in COUNTED.split(","))
        records.append(record(rng.choice(spellings, n).tolist(), pos=i + 1, info=old))
    wide = ";".join(f"{key}=9,9" if key in ("AC", "AF") else f"{key}=9" for key in COUNTED.split(","))
    records.append(record(["0/1", "1/2", "./1", *["2/2"] * (n - 3)], pos=50, alt="C,T", info=wide))
    header = HEADER + '##INFO=<ID=MAF,Number=1,Type=Float,Description="x">\n'
    header += '##INFO=<ID=F_MISSING,Number=.,Type=Float,Description="x">\n'
    names = [f"s{i}" for i in range(n)]
    path = write(tmp_path / "in.vcf", vcf(*records, samples=names, header=header))
    for keep in (None, names[1:]):
        genotypes = read_vcf(path, samples=keep)
        fill(genotypes, tmp_path / "out.vcf", silent=[2 - bool(keep)], doubtful=[3])
        command = ["bcftools", "+fill-tags", str(tmp_path / "out.vcf"), "--", "-t", COUNTED]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        expected = [line.split("\t")[7] for line in done.stdout.split("\n")[:-1] if line[0] != "#"]
        modelled = set(genotypes.source.rows.tolist())
        for i, (row, want) in enumerate(zip(fields(tmp_path / "out.vcf"), expected, strict=True)):
            if i in modelled or keep:  # a record that passes keeps its counts with all samples
                assert counts_in(row[7]) == counts_in(want)


def counts_in(info: str) -> dict[str, list]:
    items = (item.partition("=") for item in info.split(";"))
    return {key: [x if x == "." else float(x) for x in value.split(",")] for key, _, value in items if key in COUNTED}


@pytest.mark.skipif(not shutil.which("vcftools"), reason="needs vcftools")
def test_our_header_lines_give_no_warning_of_vcftools(tmp_path):
    fill(read_vcf(write(tmp_path / "in.vcf", vcf(*RECORDS))), tmp_path / "out.vcf")
    command = ["vcftools", "--vcf", "out.vcf", "--freq", "--out", "x"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "arning" not in done.stdout + done.stderr


V44 = HEADER.replace("VCFv4.2", "VCFv4.4")


def test_phase_prefixes_come_back_as_they_were(tmp_path):
    cells = ["/0/1", "|0|1", "|1|1", "/0|1", "|0/1", "./.", "|.|.", "0|1"]
    text = [record(cells, info="AC=9;AN=9"), record(cells, pos=200), record(cells, pos=300, alt="<DEL>")]
    rows = filled(tmp_path, *text, samples="abcdefgh", header=V44)
    for row in rows[:2]:
        known = [*cells[:5], "0/1", "0/1", cells[7]]
        assert [cell.split(":")[0] for cell in row[9:]] == known
    assert rows[0][7].startswith("AC=9;AN=16")
    assert rows[2][9:] == cells


@needs_bcftools
@pytest.mark.parametrize("ploidy", [1, 2])
def test_phased_calls_of_a_bcf_by_an_older_bcftools_get_no_prefix(tmp_path, ploidy):
    """Such a BCF says VCF 4.4, and leaves the phase of a call's first allele at 0; htslib of 4.4 shows `/0|1`."""
    calls = "0|1 ./. 1|1 0|0 .|." if ploidy == 2 else "0 . 1 0 ."
    path = write(tmp_path / "in.vcf", vcf(*(record(calls, pos=p) for p in (1, 2)), samples="abcde", header=V44))
    old = tmp_path / "old.bcf"
    if "1.16" in subprocess.run(["bcftools", "--version"], capture_output=True, text=True, check=True).stdout:
        subprocess.run(["bcftools", "view", "--no-version", "-Ob", "-o", str(old), str(path)], check=True)
    else:  # what an older one makes: encoded as of 4.2, the version then changed
        data = gzip.decompress(write(old, path.read_text().replace("VCFv4.4", "VCFv4.2"), "bcf").read_bytes())
        write(old, data.replace(b"VCFv4.2", b"VCFv4.4", 1), "bgzf")
    fill(read_vcf(old), tmp_path / "out.vcf")
    filled_in = {"./.": "0/1", ".|.": "0/1", ".": "1"}
    for row in fields(tmp_path / "out.vcf"):
        assert [cell.split(":")[0] for cell in row[9:]] == [filled_in.get(call, call) for call in calls.split()]


def test_prefixes_that_a_bcf_means_are_kept(tmp_path):
    path = write(
        tmp_path / "in.vcf", vcf(*(record("/0|1 0|1 ./. 0/1", pos=p) for p in (1, 2)), samples="abcd", header=V44)
    )
    bcf = write(tmp_path / "in.bcf", path.read_bytes(), "bcf")
    fill(read_vcf(bcf), tmp_path / "out.vcf")
    assert [cell.split(":")[0] for cell in fields(tmp_path / "out.vcf")[0][9:]] == ["/0|1", "0|1", "0/1", "0/1"]


def test_marks_and_blanks_that_others_refuse_are_not_written(tmp_path):
    text = vcf(*RECORDS).replace("\tINFO\tFORMAT\t", "\tINFO    \tFORMAT\t")
    fill(read_vcf(write(tmp_path / "in.vcf", b"\xef\xbb\xbf" + text.encode()[:-1])), tmp_path / "out.vcf")
    fill(read_vcf(write(tmp_path / "in.vcf", vcf(*RECORDS))), tmp_path / "plain.vcf")
    assert (tmp_path / "out.vcf").read_bytes() == (tmp_path / "plain.vcf").read_bytes()


def test_half_calls_are_filled_with_the_allele_that_is_seen(tmp_path):
    path = write(tmp_path / "in.vcf", vcf(record("0/0 ./1 0|."), record("0/1 0/0 1/1")))
    genotypes = read_vcf(path)
    imputed = ImputedGenotypes(genotypes, lambda a, b: np.tile(np.float32([0.9, 0.06, 0.04]), (3, b - a, 1)))
    imputed.write_vcf(tmp_path / "out.vcf")
    assert fields(tmp_path / "out.vcf")[0][9:] == ["0/0:1,0,0:0:0", "0/1:0,0.6,0.4:1.4:1", "0/0:0.938,0.062,0:0.062:1"]


def test_what_bcftools_cannot_encode_is_named(tmp_path, monkeypatch):
    genotypes = read_vcf(write(tmp_path / "in.vcf", vcf(*RECORDS).replace("AC=2;AN=4", "XX")))
    monkeypatch.setattr(vcf_writer, "missing_declarations", lambda lines: [])
    with pytest.raises(OutputError, match=r"cannot be written as BCF \(bcftools: .*Tag not defined.*; write a .vcf.gz"):
        fill(genotypes, tmp_path / "out.bcf", "b")
    assert not (tmp_path / "out.bcf").exists()


def test_no_folder_for_temporary_files(tmp_path, monkeypatch):
    genotypes = read_vcf(write(tmp_path / "in.vcf", vcf(*RECORDS)))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    with pytest.raises(OutputError, match="set TMPDIR to a disk with room"):
        fill(genotypes, "-", "b")


@pytest.mark.skipif(not (shutil.which("plink2") and shutil.which("bcftools")), reason="needs plink2 and bcftools")
def test_other_tools_read_the_outputs_without_a_warning(tmp_path):
    genotypes = read_vcf(write(tmp_path / "in.vcf", vcf(*RECORDS, record("./. . ./.", "2", 7))))
    for name, kind in (("out.vcf", "v"), ("out.vcf.gz", "z"), ("out.bcf", "b")):
        fill(genotypes, tmp_path / name, kind)
        for command in (["bcftools", "view", "-Ob", "-o", "/dev/null"], ["bcftools", "stats"]):
            done = subprocess.run([*command, str(tmp_path / name)], capture_output=True, text=True, check=True)
            assert done.stderr == ""
    command = ["plink2", "--vcf", "out.vcf.gz", "dosage=DS", "--freq", "--out", "p"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "Warning" not in done.stdout + done.stderr
    first = (tmp_path / "p.afreq").read_text().split("\n")[1].split("\t")
    assert float(first[-2]) == pytest.approx((0 + 1.1 + 2) / 6, abs=1e-3)


def test_phased_calls_keep_their_alleles(tmp_path):
    path = write(
        tmp_path / "in.vcf", vcf(record("0/1:7 1|0:8 ./.:.", fmt="GT:DP"), record("1/1:7 0/1:8 0/0:9", fmt="GT:DP"))
    )
    imputed = Filled(read_vcf(path))
    plain = imputed.block

    def with_phase(start, stop):
        block = plain(start, stop)
        alt_first = np.array([[True, False], [False, True], [True, True]])[:, start:stop]
        return dataclasses.replace(block, alt_first=alt_first)

    imputed.block = with_phase
    write_vcf(tmp_path / "out.vcf", imputed, output_type="v", command="x", version="1")
    cells = [[cell.split(":")[:2] for cell in row[9:]] for row in fields(tmp_path / "out.vcf")]
    assert cells[0] == [["1|0", "7"], ["0|1", "8"], ["1|0", "."]]
    assert cells[1] == [["1|1", "7"], ["1|0", "8"], ["0|0", "9"]]
