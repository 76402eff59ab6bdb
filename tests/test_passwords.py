"""Passwords are stored nowhere and printed nowhere."""

import json

import pytest
import torch
from conftest import TINY_FLAGS, imputevae

from imputevae_cli import Config
from imputevae_cli.log import shown
from imputevae_cli.passwords import hide_passwords, hide_secrets_of

SECRET = "geheim"
STORAGES = (
    f"postgresql+psycopg2://user:{SECRET}@db/x",
    f"mssql+pyodbc:///?odbc_connect=DRIVER%3D%7Bx%7D%3BUID%3Dsa%3BPWD%3D{SECRET}",
    f"mssql+pyodbc://db/x?driver=y&odbc_connect=Driver={{x}};UID=sa;PWD={SECRET};Trusted=no",
    f"mysql+pymysql://db/x?user=me&passwd={SECRET}",
)


@pytest.mark.parametrize(
    "text",
    [
        *STORAGES,
        f"DRIVER={{x}};Pwd={{{SECRET};}};UID=sa",
        f"DRIVER%3Dx%3BPwd%3D{SECRET}%3BUID%3Dsa",
        f"host=db password={SECRET} user=me",
        f"host=db password='{SECRET} and more' user=me",
        f"postgresql://me:{SECRET}/db",
        f"postgresql://db/x?sslpassword={SECRET}&sslmode=require",
    ],
)
def test_all_ways_to_say_a_password_are_hidden(text):
    assert SECRET not in hide_passwords(text)
    assert SECRET not in shown(f"cannot open {text}: no such host")
    assert "***" in hide_passwords(text)


@pytest.mark.parametrize("text", ["postgresql://db:5432/x", "https://example.org: read on", "in.vcf", "bypass=1"])
def test_what_is_no_password_stays(text):
    assert hide_passwords(text) == text


def test_what_a_driver_repeats_of_a_url_is_hidden():
    for url in (f"postgresql://me:{SECRET}@db/x", f"postgresql://me:{SECRET}/x", *STORAGES):
        assert hide_secrets_of(url, f"login failed with {SECRET}") == "login failed with ***"
    assert hide_secrets_of("mysql://me:ge%20heim@db", "tried 'ge heim'") == "tried '***'"


@pytest.mark.parametrize("storage", STORAGES)
def test_settings_as_they_are_shown(storage):
    config = Config().replace({"tune.storage": storage})
    assert config.tune.storage == storage
    assert SECRET not in config.to_yaml() + str(config.to_share())


def test_no_output_holds_a_password(cohort, tmp_path):
    out = tmp_path / "t.yaml"
    (tmp_path / "c.yaml").write_text(f"tune:\n  storage: {STORAGES[1]}\n")
    given = ["--config", tmp_path / "c.yaml", "--set", f"tune.storage={STORAGES[0]}", *TINY_FLAGS, "--threads", "1"]
    model, folder = tmp_path / "m.ivae", tmp_path / "e"
    runs = [
        imputevae("train", cohort / "in.vcf", "-o", model, *given, "-v", "--log-file", tmp_path / "log"),
        imputevae("evaluate", cohort / "in.vcf", "-o", folder, *given),
        imputevae("impute", "--print-config", *given),
        imputevae("tune", cohort / "in.vcf", "-o", out, *given, "--storage", f"nosuch://a:{SECRET}@b/c"),
        imputevae("tune", cohort / "in.vcf", "-o", out, *given, "--storage", f"//a:{SECRET}@b", "--debug"),
        imputevae("impute", "--set", f"storage:postgresql://a:{SECRET}@b"),
    ]
    assert [run.returncode for run in runs] == [0, 0, 0, 2, 2, 2], [run.stderr.decode() for run in runs]
    for run in runs:
        assert SECRET.encode() not in run.stdout + run.stderr
    assert "***" in runs[2].stdout.decode()
    written = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "c.yaml"]
    assert len(written) > 10
    for path in written:
        assert SECRET.encode() not in path.read_bytes(), path
    assert "***" in torch.load(model, weights_only=True)["config"]["tune"]["storage"]
    assert "***" in json.loads((folder / "report.json").read_text())["settings"]["tune"]["storage"]
