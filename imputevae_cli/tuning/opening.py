"""Where a study is kept: a journal file or a database, and what is wrong with it in one line without a password."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.exc import DBAPIError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from imputevae_cli.errors import ConfigError, OutputError
from imputevae_cli.passwords import hide_password, hide_secrets_of

JOURNAL = "journal:"
PACKAGES = {
    "psycopg2": "psycopg2-binary",
    "psycopg": "'psycopg[binary]'",
    "pymysql": "pymysql cryptography",
    "MySQLdb": "mysqlclient",
}
"""What to install for a module that a database's URL asks for."""
MAKING_SECONDS = 20.0
"""How long workers that begin together on an empty database, and all make its tables, may be in each other's way."""


def open_storage(where: str) -> BaseStorage:
    """A journal file, `journal:PATH`, or a database by its URL, such as `sqlite:///PATH`.

    Raises ConfigError for a URL that does not serve or whose driver is not installed, OutputError where it cannot be
    opened.
    """
    if where.startswith(JOURNAL):
        return _open_journal(Path(where.removeprefix(JOURNAL)))
    shown = hide_password(where)
    if "://" not in where:
        raise ConfigError(
            f"--storage {shown}: write journal:/path/to/file, sqlite:////path/to/file, or the URL of a database"
        )
    # Left to itself, what follows the first @ would be taken for the host, and shown when that is not found
    if not where.startswith("sqlite") and where.count("@") > 1:
        raise ConfigError(f"{shown}: write %40 for an @ that is a part of the user's name or the password")
    try:
        return _open_database(where)
    except NoSuchModuleError as error:
        raise ConfigError(
            f"{shown}: there is no such kind of database; write postgresql+psycopg2://, mysql+pymysql:// or sqlite://"
        ) from error
    except ImportError as error:
        raise ConfigError(f"{shown}: {_missing_driver(error, where)}") from error
    except DBAPIError as error:
        raise OutputError(
            f"{shown}: the storage cannot be opened ({_reason(error, where)}); the server must run, with this database "
            "and user; imputevae makes only the tables"
        ) from error
    except Exception as error:  # of SQLAlchemy and of whichever driver the URL names
        raise OutputError(f"{shown}: the storage cannot be opened ({_reason(error, where)})") from error


def _open_journal(path: Path) -> JournalStorage:
    if not path.parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}; make it first")
    try:
        storage = JournalStorage(JournalFileBackend(str(path.absolute())))
        storage.get_all_studies()
    except (ValueError, KeyError, UnicodeDecodeError) as error:
        raise OutputError(f"{path}: is no journal of a study, or a damaged one; name another file") from error
    except OSError as error:
        raise OutputError(f"{JOURNAL}{path}: the study cannot be kept there ({error.strerror})") from error
    return storage


def _open_database(url: str) -> RDBStorage:
    # A SQLite file is locked as a whole: let other workers wait for their turn
    arguments = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {"pool_pre_ping": True}
    no_template = url.replace("{", "{{").replace("}", "}}")  # Optuna formats it
    end = time.monotonic() + MAKING_SECONDS
    while True:
        try:
            return RDBStorage(no_template, engine_kwargs=dict(arguments))
        except DBAPIError as error:
            if not _was_made_meanwhile(error) or time.monotonic() > end:
                raise
        time.sleep(0.1)


def _was_made_meanwhile(error: DBAPIError) -> bool:
    """Whether another worker made the same table, or its first row, just now; no lock keeps them apart."""
    cause = error.orig
    is_there = type(cause).__name__.startswith("Duplicate") or "already exists" in str(cause)
    return is_there or isinstance(error, IntegrityError)


def _missing_driver(error: ImportError, where: str) -> str:
    cause = error.__cause__ if isinstance(error.__cause__, ImportError) else error
    if cause.name in PACKAGES:
        return f"the driver of the database is not installed; pip install {PACKAGES[cause.name]}"
    return f"the driver of the database cannot be imported ({_reason(cause, where)})"


@contextlib.contextmanager
def storage_at_work(where: str) -> Iterator[None]:
    """Raises OutputError where the storage fails while a study is run."""
    try:
        yield
    except (StorageInternalError, SQLAlchemyError) as error:
        raise OutputError(
            f"{hide_password(where)}: the storage has failed ({_reason(error, where)}); what it holds of the study is "
            "kept, run again with --resume to go on"
        ) from error


def _reason(error: BaseException, where: str) -> str:
    """What the driver says, less what Optuna and SQLAlchemy wrap it in, and less the passwords of the URL `where`."""
    if isinstance(error, StorageInternalError) and error.__cause__ is not None:
        error = error.__cause__
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return hide_secrets_of(where, " ".join(str(cause).split()))[:300]
