"""Damaged files are refused in one line or read as a strict reader reads them; bench/fuzz.py runs many more of them."""

import gzip
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vcf_fuzz import Unacceptable, alleles_of, damaged, differences, strict_records, valid_vcf
from vcf_maker import record, vcf

from imputevae_cli.errors import InputError
from imputevae_cli.imputed import ImputedGenotypes
from imputevae_cli.io.vcf_reader import read_vcf


def records_of(text: bytes) -> list[list[bytes]]:
    return [line.split(b"\t") for line in text.replace(b"\r\n", b"\n").split(b"\n")[:-1] if line[:1] != b"#"]


def check(tmp_path, text: bytes, mode: str) -> bool:
    """Whether the text is accepted; what is accepted must come out as it should, and the rest be refused in a line."""
    path, made = tmp_path / "in.vcf", tmp_path / "out.vcf"
    path.write_bytes(text if mode == "vcf" else gzip.compress(text, 1))
    try:
        genotypes = read_vcf(path)
        gp = np.linspace(0.6, 0.1, genotypes.n_classes, dtype=np.float32)
        imputed = ImputedGenotypes(genotypes, lambda a, b: np.tile(gp / gp.sum(), (genotypes.n_samples, b - a, 1)))
        imputed.write_vcf(made, force=True)
    except InputError as error:
        message = str(error)
    else:
        message = None
    if message is not None:
        assert len(message) < 500
        assert message.isprintable()
        return False
    assert not differences(strict_records(text), records_of(made.read_bytes()))
    return True


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1), mode=st.sampled_from(["vcf", "gzip"]))
def test_damaged_files(tmp_path, seed, mode):
    rng = np.random.default_rng(seed)
    check(tmp_path, damaged(valid_vcf(rng), rng), mode)


def test_whole_files_are_accepted(tmp_path):
    """Those that are made without damage, but for records that hold too little."""
    accepted = sum(check(tmp_path, valid_vcf(np.random.default_rng(seed)), "vcf") for seed in range(60))
    assert accepted > 40


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cell=st.one_of(st.text("0123./|:-N ", max_size=6), st.text(max_size=5)), prefixed=st.booleans())
def test_any_cell_is_a_genotype_or_refused(tmp_path, cell, prefixed):
    if set(cell) & set("\t\n\r"):
        return
    text = vcf(record(["0/0", "0/1", "1/1"]), record(["0/0", "0/1", "1/1"]), record(["0/1", cell, "1/1"]))
    data = text.replace("VCFv4.2", "VCFv4.4" if prefixed else "VCFv4.2").encode("utf-8", "surrogatepass")
    try:
        expected = alleles_of(cell.encode("utf-8", "surrogatepass"), n_alt=1, prefixed=prefixed)
    except Unacceptable:
        expected = None
    accepted = check(tmp_path, data, "vcf")
    if accepted:
        assert expected is not None
        genotypes = read_vcf(tmp_path / "in.vcf")
        call = genotypes.calls[1, 2] if genotypes.n_loci == 3 else -1
        assert call == (-1 if None in expected or len(expected) != 2 else sum(expected))
    else:
        assert expected is None or len(expected) > 2 or ":" in cell


@pytest.mark.parametrize("seed", range(3))
def test_flipped_bytes_of_a_bcf(tmp_path, seed):
    """Under whole compression: what crashes bcftools, which reads it in a process of its own, is refused."""
    import pysam.bcftools

    rng = np.random.default_rng(seed)
    plain, path = tmp_path / "in.vcf", tmp_path / "in.bcf"
    plain.write_text(vcf(*(record("0/0:3 ./.:4 1|1:5", pos=p, fmt="GT:DP") for p in range(1, 9))))
    pysam.bcftools.view("-Ou", "-o", str(path), str(plain), catch_stdout=False)
    data = bytearray(gzip.decompress(path.read_bytes()) if path.read_bytes()[:2] == b"\x1f\x8b" else path.read_bytes())
    at = data.index(b"\0", 9) + int(rng.integers(len(data) - data.index(b"\0", 9)))
    data[at] = int(rng.integers(256))
    path.write_bytes(gzip.compress(bytes(data), 1))
    with suppress(InputError):
        read_vcf(path)
