"""Where studies are kept: whatever is wrong with it is one line that tells what to do, and no password."""

import builtins
import importlib.util
import multiprocessing
import sqlite3

import pytest
from sqlalchemy.exc import OperationalError

from imputevae_cli.cli.session import _provenance
from imputevae_cli.errors import ConfigError, OutputError
from imputevae_cli.passwords import hide_password, hide_passwords
from imputevae_cli.tuning import opening
from imputevae_cli.tuning.opening import open_storage, storage_at_work

SECRET = "geheim"


@pytest.fixture
def _no_drivers(monkeypatch):
    """Whatever is installed, no driver can be imported."""
    real = builtins.__import__

    def without(name, globals=None, locals=None, fromlist=(), level=0):
        if level == 0 and name in opening.PACKAGES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, globals, locals, fromlist, level)

    monkeypatch.setattr(builtins, "__import__", without)


def refusal(where, kind=(ConfigError, OutputError)):
    """What is said about a storage; one line, without the password."""
    with pytest.raises(kind) as raised:
        open_storage(where)
    text = str(raised.value)
    assert "\n" not in text
    assert SECRET not in text
    return text


@pytest.mark.parametrize(
    ("where", "kind", "said"),
    [
        ("study.db", ConfigError, "journal:/path"),
        (f"postgresql:/me:{SECRET}@host/db", ConfigError, r"postgresql:\*\*\*@host/db"),
        (f"postgres://me:{SECRET}@host/db", ConfigError, r"postgresql\+psycopg2://"),
        (f"postgresql+nosuch://me:{SECRET}@host/db", ConfigError, r"postgresql\+psycopg2://"),
        (f"mysql+pymysql://me:a@{SECRET}@host/db", ConfigError, "%40"),
        ("journal:/no/such/folder/study", OutputError, "no folder"),
        ("sqlite:////no/such/folder/study", OutputError, "unable to open"),
        (f"nosuchdatabase://me@host/db?password={SECRET}&x=1", ConfigError, r"password=\*\*\*&x=1"),
        (f"nosuchdatabase://me:{{{SECRET}}}@host/db", ConfigError, r"me:\*\*\*@host"),
    ],
)
def test_a_storage_that_does_not_serve_is_refused(where, kind, said):
    with pytest.raises(kind, match=said):
        open_storage(where)
    refusal(where)


@pytest.mark.usefixtures("_no_drivers")
@pytest.mark.parametrize(
    ("dialect", "package"),
    [
        ("postgresql+psycopg2", "psycopg2-binary"),
        ("postgresql+psycopg", "'psycopg[binary]'"),
        ("mysql+pymysql", "pymysql cryptography"),
        ("mysql", "mysqlclient"),
    ],
)
def test_a_driver_that_is_not_installed_is_named(dialect, package):
    text = refusal(f"{dialect}://me:{SECRET}@host/db", ConfigError)
    assert text.endswith(f"pip install {package}")
    assert "me:***@host/db" in text


@pytest.mark.skipif(importlib.util.find_spec("psycopg2") is None, reason="the driver is not installed")
def test_a_server_that_is_not_there_is_one_line():
    assert "refused" in refusal(f"postgresql+psycopg2://me:{SECRET}@127.0.0.1:1/db", OutputError)


def test_a_file_that_is_no_journal_is_refused(tmp_path):
    (tmp_path / "x").write_text("##fileformat=VCFv4.2\n#CHROM\n")
    assert "no journal" in refusal(f"journal:{tmp_path / 'x'}", OutputError)


def test_braces_are_no_template(tmp_path):
    open_storage(f"sqlite:///{tmp_path}/{{SCHEMA_VERSION}}.db")
    assert [path.name for path in tmp_path.iterdir()] == ["{SCHEMA_VERSION}.db"]


def test_what_a_database_says_while_a_study_is_run_is_one_line():
    where = f"mysql+pymysql://me:{SECRET}@host/db"
    lost = OperationalError("SELECT 1", {}, Exception("server has\ngone away"))
    with (
        pytest.raises(OutputError, match=r"me:\*\*\*@host/db: .*\(server has gone away\).*--resume"),
        storage_at_work(where),
    ):
        raise opening.StorageInternalError("An exception is raised during the commit.") from lost


def _open_at_once(where, barrier):
    barrier.wait()
    open_storage(where)


def test_workers_that_begin_together_make_the_tables_together(tmp_path):
    fork = multiprocessing.get_context("fork")
    barrier, where = fork.Barrier(4), f"sqlite:///{tmp_path / 'x'}"
    workers = [fork.Process(target=_open_at_once, args=(where, barrier)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4


def test_another_worker_that_makes_the_tables_is_waited_for(tmp_path, monkeypatch):
    tries = []

    def made_meanwhile(*arguments, **settings):
        tries.append(arguments)
        if len(tries) < 3:
            raise OperationalError("CREATE TABLE studies", {}, sqlite3.OperationalError("table studies already exists"))
        return real(*arguments, **settings)

    real = opening.RDBStorage
    monkeypatch.setattr(opening, "RDBStorage", made_meanwhile)
    open_storage(f"sqlite:///{tmp_path / 'x'}")
    assert len(tries) == 3


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("postgresql+psycopg2://me:pw@host:1/db", "postgresql+psycopg2://me:***@host:1/db"),
        ("tune.storage=mysql://me:p/w:x@y@host/db", "tune.storage=mysql://me:***@host/db"),
        ("--storage=mysql://:pw@host/db", "--storage=mysql://:***@host/db"),
        ("postgresql://host/db?user=me&password=pw&x=1", "postgresql://host/db?user=me&password=***&x=1"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
        ("sqlite:////data/run:1/a@b.db", "sqlite:////data/run:1/a@b.db"),
        ("journal:/data/run:1/a@b", "journal:/data/run:1/a@b"),
        ("in.vcf.gz", "in.vcf.gz"),
    ],
)
def test_passwords_of_urls_are_hidden(word, shown):
    assert hide_passwords(word) == shown


def test_what_was_meant_as_a_url_hides_its_password_too():
    assert "pw" not in hide_password("postgresql//me:pw@host/db") + hide_password("postgresql:me:pw@host/db")


def test_the_command_line_in_outputs_holds_no_password():
    words = ["tune", "in.vcf", "--storage", f"mysql+pymysql://me:{SECRET}@host/db", "--resume"]
    assert _provenance(words) == "imputevae tune in.vcf --storage 'mysql+pymysql://me:***@host/db'"
