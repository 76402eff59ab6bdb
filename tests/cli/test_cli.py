"""The command line. Where the start of the process matters, it is run anew: `fresh_imputevae`."""

import gzip
import os
import signal
import subprocess
import sys
import time

import cyvcf2
import numpy as np
import pytest
import torch
from conftest import (
    QUICK_PARTS,
    TINY_FLAGS,
    environment,
    flags_of,
    fresh_imputevae,
    imputevae,
    simulate,
    simulate_linked,
    tiny_config,
    vcf_of,
)
from vcf_maker import record, vcf, write

from imputevae_cli import Config, ImputeVAE, read_vcf


def done(run):
    """The run, which must have ended well."""
    assert run.returncode == 0, run.stderr.decode()
    return run


def refused(run, code, *words):
    """The run ended with `code` and one line on standard error, which holds `words`; nothing on standard output."""
    error = run.stderr.decode()
    assert run.returncode == code, error
    assert error.startswith("imputevae: error: ")
    assert error.count("\n") == 1
    assert error.endswith("\n")
    for word in words:
        assert word in error
    assert run.stdout == b""


def records(path):
    """Lines of a VCF but for the one that holds the command."""
    opened = gzip.open if str(path).endswith("gz") else open
    with opened(path, "rb") as file:
        return without_command(file.read())


def without_command(data):
    return [line for line in data.split(b"\n") if not line.startswith(b"##imputevae_command")]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def imputed(cohort, tmp_path_factory):
    """What `imputevae impute` alone makes of the cohort."""
    path = tmp_path_factory.mktemp("imputed") / "out.vcf"
    popmap = cohort / "pops.popmap"
    done(fresh_imputevae("impute", cohort / "in.vcf.gz", "--popmap", popmap, "-o", path, "--threads", 1, *TINY_FLAGS))
    return path


# --- help, version, settings: no need of the heavy libraries


@pytest.mark.parametrize(
    "arguments", [["--help"], ["impute", "-h"], ["train", "--help"], ["evaluate", "-h"], ["--version"]]
)
def test_help_imports_nothing_heavy(arguments):
    code = f"""
import sys
sys.argv = ["imputevae", *{arguments!r}]
from imputevae_cli.cli.main import run
try:
    run()
finally:
    heavy = {{"torch", "numpy", "numba", "cyvcf2", "pysam", "optuna", "sklearn"}} & set(sys.modules)
    assert not heavy, heavy
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment(), check=False)
    assert run.returncode == 0, run.stderr.decode()
    assert run.stdout


def test_help_says_of_each_command_what_it_does_without_cutting_it_short(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = done(imputevae("--help")).stdout.decode().splitlines()
    commands = lines[lines.index("Commands:") + 1 :][:4]
    assert [line.split()[0] for line in commands] == ["impute", "train", "evaluate", "tune"]
    assert all(line.endswith(".") and "..." not in line and len(line) <= 80 for line in commands)


@pytest.mark.parametrize("command", ["impute", "train", "evaluate", "tune"])
def test_help_has_sections_an_example_and_says_where_settings_are_listed(command):
    text = done(imputevae(command, "--help")).stdout.decode()
    headings = [line[:-1] for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert headings[:2] == ["Arguments", "Files"]
    assert {"Settings", "Which samples and loci", "How it runs", "Messages"} <= set(headings)
    assert f"  imputevae {command} " in text.split("Example")[1]
    assert "All keys: --print-config, docs/reference/settings" in " ".join(text.split())
    bare = imputevae(command)
    assert bare.returncode == 2
    assert bare.stderr.startswith(b"Usage:")
    assert bare.stdout == b""


@pytest.mark.skipif("CS_GNU_LIBC_VERSION" not in os.confstr_names, reason="the C library is not glibc")
@pytest.mark.parametrize(
    ("given", "settled"),
    [
        (None, ["tcache_count=0", "mxfast=0", "mmap_threshold=4194304", "trim_threshold=8388608"]),
        (["mxfast=64"], ["mxfast=64", "tcache_count=0", "mmap_threshold=4194304", "trim_threshold=8388608"]),
        (["mxfast=64", "mmap_threshold=9", "trim_threshold=9", "tcache_count=7"], None),
    ],
)
def test_the_command_starts_anew_with_the_allocator_settled(given, settled):
    given, settled = (s and ":".join(f"glibc.malloc.{one}" for one in s) for s in (given, settled or given))
    code = """
import os, sys
from imputevae_cli.cli.allocator import settle_allocator
print("begun", flush=True)
settle_allocator()
print(os.environ["GLIBC_TUNABLES"], *sys.argv[1:], sep="|")
"""
    variables = {name: value for name, value in environment().items() if name != "GLIBC_TUNABLES"}
    variables |= {} if given is None else {"GLIBC_TUNABLES": given}
    command = [sys.executable, "-c", code, "impute", "a file.vcf"]
    run = subprocess.run(command, capture_output=True, env=variables, check=True)
    begun, last = run.stdout.decode().rsplit("\n", 2)[:2]
    assert last == f"{settled}|impute|a file.vcf"
    assert begun.splitlines() == ["begun"] * (2 if given != settled else 1)


def test_the_vae_alone_imports_no_other_compiler_than_numba(cohort, tmp_path):
    """Sympy and torch's compiler take a part of the 500 MB that a run has beside its calls, and scipy's linear algebra
    a fifth of a second; numba reads and writes."""
    code = f"""
import sys
sys.argv = ["imputevae", "impute", {str(cohort / "in.vcf.gz")!r}, "-o", {str(tmp_path / "out.vcf.gz")!r}, "-q",
    "--set", "model.decoder=vae", "--set", "train.max_epochs=2"]
from imputevae_cli.cli.main import run
try:
    run()
finally:
    heavy = {{"sympy", "torch._dynamo", "sklearn", "optuna", "scipy.linalg"}} & set(sys.modules)
    assert not heavy, heavy
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment(), check=False)
    assert run.returncode == 0, run.stderr.decode()
    assert (tmp_path / "out.vcf.gz").exists()


def test_version_is_a_bare_number():
    import imputevae_cli

    assert done(fresh_imputevae("--version")).stdout.decode() == imputevae_cli.__version__ + "\n"


def test_print_config(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("train:\n  gamma: 1.5\n  max_epochs: 7\nmodel:\n  latent_dim: 5\n")
    run = done(
        imputevae(
            *("impute", "--print-config", "--preset", "fast", "--config", path, "--seed", 4),
            *("--set", "train.max_epochs=9", "--set", "io.n_jobs=3", "--threads", 2),
        )
    )
    path.write_bytes(run.stdout)
    expected = {"train.gamma": 1.5, "train.max_epochs": 9, "model.latent_dim": 5, "io.seed": 4, "io.n_jobs": 3}
    assert Config.from_yaml(path) == Config.from_preset("fast").replace(expected)
    assert run.stderr == b""


# --- what can't be done: exit code, one line, no output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "vae.kl_bta=1"], ["vae.kl_bta", "did you mean 'vae.kl_beta'"]),
        (["--set", "train.batch_size=0"], ["train.batch_size"]),
        (["--set", "nonsense"], ["key=value"]),
        (["--preset", "quick"], ["quick", "fast, balanced, thorough"]),
        (["--config", "none.yaml"], ["none.yaml"]),
        (["--output-type", "q"], ["--output-type q"]),
        (["--seed", "-1"], ["io.seed"]),
        (["--device", "tpu"], ["train.device"]),
        (["--threads", "-3"], ["io.n_jobs"]),
        (["--samples", "s00,s01", "--samples-file", "x"], ["not both"]),
        (["--samples", ""], ["--samples is empty"]),
        (["--region", " "], ["--region is empty"]),
        (["--set", ""], ["--set is empty"]),
        (["--include-pops", "pop0"], ["needs a popmap"]),
        (["--phylip-names", "long", "--output-type", "p"], ["long", "strict"]),
        (["--region", "1:9-3"], ["--region 1:9-3"]),
        (["--region", "1:,"], ["--region 1:,", "chrom:start-end"]),
        (["--region", "1:5-,"], ["--region 1:5-,"]),
        (["--region", "1:" + "9" * 5000], ["chrom:start-end"]),
        (["--overlap", "9" * 30], ["--overlap"]),
        (["--seed", "9" * 30], ["io.seed"]),
        (["--threads", "9" * 30], ["io.n_jobs"]),
        (["--min-gp", "nan"], ["min-gp"]),
        (["--checkpoint-every", "inf"], ["not a finite number"]),
        (["--set", "train.validation_split=1e-300", "-q"], ["train.validation_split"]),
    ],
)
def test_usage_that_does_not_hold(cohort, tmp_path, arguments, words):
    refused(imputevae("impute", cohort / "in.vcf", "-o", tmp_path / "o.vcf", *arguments), 2, *words)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "arguments", [["impute", "--no-such-option"], ["impute", "a", "b"], ["evaluate"], ["impute", "--min-gp", "2"]]
)
def test_options_that_do_not_exist(arguments):
    run = fresh_imputevae(*arguments)
    assert run.returncode == 2
    assert run.stdout == b""
    assert b"Traceback" not in run.stderr


def test_input_and_output_must_be_given(cohort):
    refused(imputevae("impute", cohort / "in.vcf"), 2, "-o OUT")
    refused(imputevae("impute", "-o", "x.vcf"), 2, "no INPUT")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there(cohort, checkpoint, tmp_path):
    for more in ([], ["--model", checkpoint]):
        run = imputevae("impute", cohort / "in.vcf", "-o", tmp_path / "o.vcf", "--device", "cuda", *more)
        refused(run, 2, "device cuda is not on this machine")
    refused(imputevae("train", cohort / "in.vcf", "-o", tmp_path / "o.ivae", "--device", "gpu"), 2, "device gpu")
    assert names(tmp_path) == []


def test_outputs_that_cannot_be(cohort, tmp_path):
    there = tmp_path / "there.vcf"
    there.write_text("mine")
    refused(imputevae("impute", cohort / "in.vcf", "-o", there), 2, "there.vcf: exists already", "--force")
    refused(imputevae("impute", cohort / "in.vcf", "-o", tmp_path / "o.txt"), 2, "o.txt", "--output-type")
    refused(imputevae("impute", cohort / "in.vcf", "-o", tmp_path / "no" / "o.vcf"), 2, "there is no folder")
    refused(imputevae("impute", cohort / "in.vcf", "-o", tmp_path), 2, "is a folder; name a file in it")
    assert names(tmp_path) == ["there.vcf"]
    assert there.read_text() == "mine"
    there.rename(tmp_path / "there.ivae")
    refused(imputevae("train", cohort / "in.vcf", "-o", tmp_path / "there.ivae"), 2, "exists already")
    refused(imputevae("train", cohort / "in.vcf", "-o", tmp_path / "o.vcf"), 2, "train writes a checkpoint")
    refused(imputevae("train", cohort / "in.vcf", "--as-panel", "-o", tmp_path / "o.bcf"), 2, "writes a checkpoint")


@pytest.mark.parametrize(("command", "ending"), [("impute", "vcf"), ("train", "ivae")])
def test_the_output_is_never_an_input(cohort, tmp_path, command, ending):
    path, popmap = tmp_path / f"in.{ending}", tmp_path / f"p.{ending}"
    path.write_bytes((cohort / "in.vcf").read_bytes())
    popmap.write_bytes((cohort / "pops.popmap").read_bytes())
    refused(imputevae(command, path, "-o", path, "--force"), 2, f"in.{ending}: is the input itself")
    refused(imputevae(command, path, "--popmap", popmap, "-o", popmap, "--force"), 2, "is the input itself")
    assert path.read_bytes() == (cohort / "in.vcf").read_bytes()
    assert popmap.read_bytes() == (cohort / "pops.popmap").read_bytes()


GOOD = record("0/0 0/1 1/1")
BAD_INPUTS = {
    "empty": (b"", "is empty"),
    "text": (b"hello\n", ""),
    "header only": (vcf().encode(), "no record"),
    "no samples": (vcf(samples=()).encode(), "sample"),
    "no GT": (vcf(record("3 3 3", fmt="DP")).encode(), "GT"),
    "allele beyond ALT": (vcf(GOOD, record("0/0 0/3 1/1", pos=200)).encode(), "200"),
    "nonaploid": (vcf(GOOD, record("0/0 0/0/0/0/0/0/0/0/1 1/1", pos=200)).encode(), "ploidy 9"),
    "short line": (vcf(GOOD, record("0/0 0/1", pos=200)).encode(), "line "),
    "blank line": (vcf(GOOD, "\n", GOOD).encode(), "line "),
    "all missing": (vcf(record("./. ./. ./."), record("./. ./. ./.", pos=200)).encode(), "every call is missing"),
    "one locus": (vcf(GOOD).encode(), "at least 2"),
    "few calls": (vcf(GOOD, record("0/1 0/0 ./.", pos=200)).encode(), "too few"),
    "cut gzip": (gzip.compress(vcf(GOOD, GOOD).encode())[:-20], ""),
}


@pytest.mark.parametrize("kind", BAD_INPUTS)
def test_inputs_that_cannot_be_used(tmp_path, kind):
    data, words = BAD_INPUTS[kind]
    (tmp_path / "in.vcf").write_bytes(data)
    run = imputevae("impute", "in.vcf", "-o", "o.vcf", "-q", cwd=tmp_path)
    refused(run, 3, "in.vcf: ", words)
    assert names(tmp_path) == ["in.vcf"]


def test_input_that_is_not_there(tmp_path):
    refused(imputevae("impute", tmp_path / "none.vcf", "-o", tmp_path / "o.vcf"), 3, "none.vcf")


def test_popmaps_samples_and_regions_that_do_not_fit(cohort, tmp_path):
    popmap = tmp_path / "p.popmap"
    popmap.write_text("nobody\tb\n")
    path, out = cohort / "in.vcf", tmp_path / "o.vcf"
    refused(imputevae("impute", path, "-o", out, "--popmap", popmap), 3, "p.popmap", "nobody")
    refused(imputevae("impute", path, "-o", out, "--popmap", tmp_path / "no"), 3, "no such popmap")
    refused(imputevae("impute", path, "-o", out, "--samples", "s00,s0x"), 3, "s0x")
    refused(imputevae("impute", path, "-o", out, "--samples-file", tmp_path / "no"), 3, "no")
    refused(imputevae("impute", path, "-o", out, "--region", "9:1-10"), 3, "--region 9:1-10")
    pops = ["--popmap", cohort / "pops.popmap", "--include-pops", "pop0,pop9"]
    refused(imputevae("impute", path, "-o", out, *pops), 3, "pop9")
    assert names(tmp_path) == ["p.popmap"]


def test_checkpoints_that_cannot_be_used(cohort, checkpoint, tmp_path):
    out, broken = tmp_path / "o.vcf", tmp_path / "b.ivae"
    broken.write_bytes(checkpoint.read_bytes()[:500])
    other = write(tmp_path / "other.vcf", vcf_of(simulate(20, 40)[0]).replace("\t10", "\t77"))
    run = ["impute", "-o", out, "-q"]
    refused(imputevae(*run, cohort / "in.vcf", "--model", broken), 4, "b.ivae", "damaged")
    refused(imputevae(*run, cohort / "in.vcf", "--model", tmp_path / "no.ivae"), 4, "no.ivae")
    refused(imputevae(*run, other, "--model", checkpoint), 4, "tiny.ivae", "loci of", "other.vcf")
    assert not out.exists()


def test_training_that_fails(cohort, tmp_path):
    flags = ["--set", "train.learning_rate=1e30", "--set", "train.warmup_epochs=0"]
    refused(imputevae("train", cohort / "in.vcf", "-o", tmp_path / "m.ivae", "-q", *flags), 5, "not finite")
    assert names(tmp_path) == []


def test_a_traceback_is_shown_with_debug_alone(tmp_path):
    arguments = ["impute", tmp_path / "none.vcf", "-o", tmp_path / "o.vcf"]
    assert b"Traceback" not in imputevae(*arguments).stderr
    run = imputevae(*arguments, "--debug")
    assert run.returncode == 3
    assert b"Traceback" in run.stderr
    assert run.stderr.rstrip().split(b"\n")[-1].startswith(b"imputevae: error: ")


def test_a_bug_is_one_line_too(cohort, tmp_path):
    code = """
import sys
import imputevae_cli.io.vcf_reader as reader
def broken(*_, **__):
    raise RuntimeError("two\\nlines")
reader.read_vcf = broken
from imputevae_cli.cli.main import run
run()
"""
    arguments = [sys.executable, "-c", code, "impute", cohort / "in.vcf", "-o", tmp_path / "o.vcf"]
    run = subprocess.run(arguments, capture_output=True, env=environment(), check=False)
    refused(run, 1, "a bug: RuntimeError: two lines", "--debug")


# --- what is written


def test_the_same_seed_gives_the_same_bytes_at_any_number_of_threads(cohort, imputed, tmp_path):
    popmap = ["--popmap", cohort / "pops.popmap"]
    arguments = ["impute", cohort / "in.vcf.gz", *popmap, *TINY_FLAGS]
    done(fresh_imputevae(*arguments, "-o", tmp_path / "two.vcf", "--threads", 2))
    assert records(tmp_path / "two.vcf") == records(imputed)
    done(fresh_imputevae(*arguments, "-o", tmp_path / "other.vcf", "--seed", 2))
    assert records(tmp_path / "other.vcf") != records(imputed)


@pytest.mark.parametrize(
    ("decoder", "genotypes"), [("vae", lambda: simulate(96, 1500)[0]), ("auto", lambda: simulate_linked(70, 200)[0])]
)
def test_threads_do_not_change_the_result_of_a_larger_input(tmp_path, decoder, genotypes):
    """Matrices large enough for torch to share the work among threads; and all decoders, the haplotypes among them."""
    path = write(tmp_path / "in.vcf", vcf_of(genotypes()))
    flags = flags_of({**QUICK_PARTS, "train.max_epochs": 2, "train.min_epochs": 1, "model.decoder": decoder})
    for threads in (1, 2):
        done(fresh_imputevae("impute", path, "-o", tmp_path / f"{threads}.vcf", "--threads", threads, *flags))
    assert records(tmp_path / "1.vcf") == records(tmp_path / "2.vcf")


def test_train_then_impute_equals_impute_alone(cohort, checkpoint, imputed, tmp_path):
    out = tmp_path / "o.vcf"
    popmap = ["--popmap", cohort / "pops.popmap"]
    run = done(fresh_imputevae("impute", cohort / "in.vcf.gz", *popmap, "--model", checkpoint, "-o", out))
    assert records(out) == records(imputed)
    assert b"Expected accuracy" in run.stderr


def test_the_python_api_equals_the_command_line(cohort, imputed, tmp_path):
    genotypes = read_vcf(cohort / "in.vcf.gz", popmap=cohort / "pops.popmap")
    result = ImputeVAE(tiny_config()).fit(genotypes).transform()
    result.write_vcf(tmp_path / "api.vcf")
    assert records(tmp_path / "api.vcf") == records(imputed)
    gp = np.stack([record.format("GP") for record in cyvcf2.VCF(str(imputed))], 1)
    assert gp == pytest.approx(result.gp, abs=1e-6)


def test_known_calls_stay_and_all_others_are_filled(cohort, imputed):
    before, after = read_vcf(cohort / "in.vcf"), read_vcf(imputed)
    known = before.calls != -1
    assert not known.all()
    assert np.array_equal(before.calls[known], after.calls[known])
    assert (after.calls != -1).all()
    assert before.samples == after.samples
    flags = np.stack([record.format("IMP")[:, 0] for record in cyvcf2.VCF(str(imputed))], 1)
    assert np.array_equal(flags == 1, ~known)


def test_standard_input_and_output(cohort, imputed):
    flags = [*TINY_FLAGS, "--popmap", cohort / "pops.popmap"]
    run = done(fresh_imputevae("impute", "-", "-o", "-", *flags, stdin=(cohort / "in.vcf.gz").read_bytes()))
    assert without_command(run.stdout) == records(imputed)
    assert b"Imputed" in run.stderr


def test_kinds_of_output(cohort, checkpoint, imputed, tmp_path):
    def run(name, *more):
        return done(imputevae("impute", cohort / "in.vcf.gz", "--model", checkpoint, "-o", tmp_path / name, *more))

    for name in ("o.vcf.gz", "o.bcf", "o.phy"):
        run(name)
    assert names(tmp_path) == ["o.bcf", "o.bcf.csi", "o.phy", "o.vcf.gz", "o.vcf.gz.tbi"]
    assert records(tmp_path / "o.vcf.gz") == records(imputed)
    assert np.array_equal(read_vcf(tmp_path / "o.bcf").calls, read_vcf(imputed).calls)
    first, *rows = (tmp_path / "o.phy").read_text().splitlines()
    assert first.split() == ["24", "60"]
    assert [row.split()[0] for row in rows] == list(read_vcf(imputed).samples)
    assert not set("".join(row.split()[1] for row in rows)) - set("ACGTRYSWKM")
    run("odd.txt", "--output-type", "v")
    assert records(tmp_path / "odd.txt") == records(imputed)


def test_force_overwrites(cohort, checkpoint, imputed, tmp_path):
    out = tmp_path / "o.vcf"
    out.write_text("mine")
    done(imputevae("impute", cohort / "in.vcf.gz", "--model", checkpoint, "-o", out, "--force"))
    assert records(out) == records(imputed)


def test_some_samples_and_a_region(cohort, checkpoint, tmp_path):
    def kept(*arguments):
        out = tmp_path / "o.vcf"
        done(imputevae("impute", cohort / "in.vcf", "--model", checkpoint, "-o", out, "--force", *arguments))
        return read_vcf(out)

    listed = tmp_path / "list"
    listed.write_text("s07\ns02\n\ns03\n")
    assert kept("--samples", "s05,s01").samples == ("s01", "s05")
    assert kept("--samples-file", listed).samples == ("s02", "s03", "s07")
    popmap = ["--popmap", cohort / "pops.popmap"]
    assert kept("--include-pops", "pop0,pop2", *popmap).samples == tuple(f"s{i:02d}" for i in range(24) if i % 3 != 1)
    part = kept("--region", "2:450-500").loci
    assert set(part.chrom) == {"2"}
    assert part.pos.tolist() == [450, 460, 470, 480, 490, 500]


def test_min_gp(cohort, checkpoint, tmp_path):
    out = tmp_path / "o.vcf"
    run = done(imputevae("impute", cohort / "in.vcf", "--model", checkpoint, "-o", out, "--min-gp", 0.7))
    n_missing = int((read_vcf(cohort / "in.vcf").calls == -1).sum())
    left = int((read_vcf(out).calls == -1).sum())
    assert 0 < left < n_missing
    rows = [line.replace("│", " ").split() for line in run.stderr.decode().splitlines()]
    assert ["Imputed", f"{n_missing - left:,}"] in rows
    assert ["Left", "missing", f"{left:,}"] in rows


def test_call_by_dosage(cohort, checkpoint, tmp_path):
    out = {call: tmp_path / f"{call}.vcf" for call in ("map", "dosage")}
    for call, path in out.items():
        run = done(imputevae("impute", cohort / "in.vcf", "--model", checkpoint, "-o", path, "--call", call))
        assert b"Genotypes called" in run.stderr
    by_map, by_dosage = (read_vcf(path).calls for path in out.values())
    known = read_vcf(cohort / "in.vcf").calls != -1
    assert (by_map != by_dosage).any()
    assert np.array_equal(by_map[known], by_dosage[known])
    run = imputevae("impute", cohort / "in.vcf", "--model", checkpoint, "-o", tmp_path / "x.vcf", "--call", "best")
    assert run.returncode == 2
    assert b"give map" in run.stderr


def test_dry_run_writes_nothing(cohort, checkpoint, tmp_path):
    out = tmp_path / "o.vcf"
    for more in (TINY_FLAGS, ["--model", checkpoint]):
        run = done(imputevae("impute", cohort / "in.vcf", "-o", out, "--dry-run", *more))
        assert b"nothing was written" in run.stderr
        assert b"Time, about" in run.stderr
    done(imputevae("train", cohort / "in.vcf", "-o", tmp_path / "m.ivae", "--dry-run", *TINY_FLAGS))
    assert names(tmp_path) == []


def test_summary_log_file_and_quiet(cohort, checkpoint, tmp_path):
    log = tmp_path / "run.log"
    arguments = ["impute", cohort / "in.vcf", "--model", checkpoint, "-o", "o.vcf", "--force"]
    run = done(imputevae(*arguments, "--log-file", log, cwd=tmp_path))
    for words in ("Samples", "Loci", "Imputed", "concordance", "Time", "Peak memory", "o.vcf"):
        assert words in run.stderr.decode()
    assert run.stdout == b""
    assert "INFO" in log.read_text()
    quiet = done(imputevae(*arguments, "-q", cwd=tmp_path))
    assert (quiet.stdout, quiet.stderr) == (b"", b"")


def test_settings_beside_a_model_are_told_to_have_no_effect(cohort, checkpoint, imputed, tmp_path):
    flags = ["--model", checkpoint, "--popmap", cohort / "pops.popmap", "--set", "model.latent_dim=9"]
    run = done(imputevae("impute", cohort / "in.vcf.gz", "-o", tmp_path / "o.vcf", *flags))
    assert b"have no effect" in run.stderr
    assert records(tmp_path / "o.vcf") == records(imputed)


def test_nothing_is_written_beside_the_input(cohort, imputed):
    assert names(cohort) == ["in.vcf", "in.vcf.gz", "pops.popmap"]


# --- signals


@pytest.mark.parametrize(
    ("number", "output", "code", "said"),
    [
        (signal.SIGTERM, "o.vcf.gz", 75, b"--resume"),
        (signal.SIGUSR1, "o.vcf.gz", 75, b"--resume"),
        (signal.SIGINT, "o.vcf.gz", 130, b"nothing was written"),
        (signal.SIGTERM, "-", 143, b"nothing was written"),
    ],
)
def test_a_signal_in_the_middle_of_training(cohort, tmp_path, number, output, code, said):
    out = "-" if output == "-" else tmp_path / output
    flags = ["--set", "train.max_epochs=1000000", "--set", "train.min_epochs=1000000", "-v"]
    process = subprocess.Popen(
        [sys.executable, "-m", "imputevae_cli", "impute", cohort / "in.vcf", "-o", out, *flags],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    try:
        for line in process.stderr:
            if b"epoch 3:" in line:
                break
        process.send_signal(number)
        rest = process.communicate(timeout=30)[1]
    finally:
        process.kill()
    assert process.returncode == code
    assert b"Traceback" not in rest
    assert said in rest.rstrip().split(b"\n")[-1]
    assert names(tmp_path) == ([f"{output}.ckpt"] if code == 75 else [])


STOPPED_WRITING = """
import os, signal, sys, time
import imputevae_cli.io.vcf_writer as writer
whole = writer.Walk.copy_into

class Stopping:
    def __init__(self, out):
        self.out = out

    def write(self, data):
        self.out.write(data)
        print("writing", sorted(os.listdir(os.environ["OUT"])), file=sys.stderr)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(20)

writer.Walk.copy_into = lambda self, out, **options: whole(self, Stopping(out), **options)
from imputevae_cli.cli.main import run
run()
"""


@pytest.mark.parametrize("name", ["o.vcf", "o.vcf.gz", "o.bcf"])
def test_sigterm_in_the_middle_of_writing(cohort, checkpoint, tmp_path, name):
    out = tmp_path / name
    out.write_text("mine")
    start = time.monotonic()
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            STOPPED_WRITING,
            "impute",
            cohort / "in.vcf",
            "--model",
            checkpoint,
            "-o",
            out,
            "--force",
        ],
        capture_output=True,
        env={**environment(), "OUT": str(tmp_path)},
        timeout=60,
        check=False,
    )
    assert time.monotonic() - start < 19
    assert run.returncode == 143
    assert b".tmp" in run.stderr, "there should have been a temporary file by then"
    assert b"terminated; nothing was written" in run.stderr
    assert names(tmp_path) == [name]
    assert out.read_text() == "mine"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_at_standard_output(cohort, checkpoint):
    with open("/dev/full", "wb") as full:
        run = subprocess.run(
            [
                sys.executable,
                "-m",
                "imputevae_cli",
                "impute",
                cohort / "in.vcf",
                "--model",
                checkpoint,
                "-o",
                "-",
                "-q",
            ],
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(),
            check=False,
        )
    assert run.returncode == 2
    assert run.stderr.count(b"\n") == 1
    assert b"No space left" in run.stderr


def test_map_phase_target_accuracy_and_latent(tmp_path):
    linked, _ = simulate_linked(40, 120)
    (tmp_path / "in.vcf").write_text(vcf_of(linked))
    (tmp_path / "a.map").write_text("1 a 0 1\n1 b 1 100000\n2 c 0 1\n2 d 2 100000\n")
    quick = flags_of({"model.decoder": "copying", "copying.iterations": 4, "copying.chains": 1,
                      "copying.trial": "false", "train.max_epochs": 2})  # fmt: skip
    more = ["--map", tmp_path / "a.map", "--phased", "--target-accuracy", "0.97", "--latent", tmp_path / "z.tsv"]
    run = imputevae("impute", tmp_path / "in.vcf", "-o", tmp_path / "o.vcf", *quick, *more)
    assert run.returncode == 0, run.stderr.decode()
    assert b"--min-gp" in run.stderr
    before = [line.split("\t")[9:] for line in (tmp_path / "in.vcf").read_text().splitlines() if line[0] != "#"]
    after = [line.split("\t")[9:] for line in (tmp_path / "o.vcf").read_text().splitlines() if line[0] != "#"]
    for old, new in zip(before, after, strict=True):
        for was, cell in zip(old, new, strict=True):
            genotype = cell.split(":")[0]
            if was == "./.":
                assert genotype in ("./.", "0|0", "0|1", "1|0", "1|1")
            else:
                assert sorted(genotype.split("|")) == sorted(was.split("/"))
    assert len((tmp_path / "z.tsv").read_text().splitlines()) == 41


def test_phase_without_haplotypes_is_refused(cohort, checkpoint, tmp_path):
    run = imputevae("impute", cohort / "in.vcf", "--model", checkpoint, "-o", tmp_path / "o.vcf", "--phased", "-q")
    refused(run, 2, "haplotype copying", "--phased")
    assert not (tmp_path / "o.vcf").exists()


@pytest.mark.parametrize("sample", ["s07", "stranger"])
def test_one_sample_is_filled_from_a_checkpoint_also_where_the_file_has_no_call(cohort, checkpoint, tmp_path, sample):
    lines = [line.split("\t") for line in (cohort / "in.vcf").read_text().splitlines()]
    lines = [line[:9] + line[16:17] if len(line) > 9 else line for line in lines]
    assert lines[-1][9].startswith(("0", "1", "."))
    text = "".join("\t".join(line) + "\n" for line in lines).replace("\ts07\n", f"\t{sample}\n")
    assert "./." in text
    (tmp_path / "one.vcf").write_text(text)
    out = tmp_path / "o.vcf"
    done(imputevae("impute", tmp_path / "one.vcf", "--model", checkpoint, "-o", out))
    assert "./." not in out.read_text()
    refused(imputevae("impute", tmp_path / "one.vcf", "-o", tmp_path / "x.vcf"), 3, "1 sample to learn from", "--model")


def test_a_checkpoint_without_panel_holds_nobody_and_still_fills(cohort, tmp_path):
    model, out = tmp_path / "m.ivae", tmp_path / "o.vcf"
    run = imputevae("train", cohort / "in.vcf", "-o", model, "--no-panel", *TINY_FLAGS, "-q")
    assert run.returncode == 0, run.stderr.decode()
    content = torch.load(model, weights_only=True)
    assert content["samples"] == []
    assert len(content["calls"]) == 0
    assert imputevae("impute", cohort / "in.vcf", "--model", model, "-o", out, "-q").returncode == 0
    assert "./." not in out.read_text()
    haplotype = flags_of({"model.decoder": "copying", "copying.iterations": 3, "copying.trial": "false"})
    run = imputevae("train", cohort / "in.vcf", "-o", tmp_path / "h.ivae", "--no-panel", *TINY_FLAGS, *haplotype, "-q")
    refused(run, 2, "panel", "model.decoder=vae")
