"""The text of a VCF, line by line: what kind of file it is, its lines, and copies of what has no lines.

Compressed files are read with Python's gzip: it raises on every truncation, which htslib's own reader does not.
"""

from __future__ import annotations

import atexit
import contextlib
import gzip
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from imputevae_cli.errors import InputError

BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
"""The empty block that ends every whole BGZF file."""

BLOCK_BYTES = 1 << 20


def file_kind(path: Path, name: str) -> str:
    """`vcf`, `gzip` (a VCF in plain gzip), `bgzf` (a VCF in BGZF) or `bcf`, by content rather than by ending.

    Raises InputError on a file that is missing, empty, unreadable, or cut short at its end.
    """
    try:
        if path.is_dir():
            raise InputError(f"{name}: is a folder; give a VCF, VCF.gz or BCF file")
        with open(path, "rb") as file:
            head = file.read(18)
            size = file.seek(0, 2)
            file.seek(max(0, size - len(BGZF_END)))
            tail = file.read()
    except FileNotFoundError:
        raise InputError(f"{name}: no such file; check the path") from None
    except OSError as error:
        raise InputError(f"{name}: cannot be read ({error.strerror}); check its permissions and its disk") from error
    if not head:
        raise InputError(f"{name}: the file is empty; give a VCF, VCF.gz or BCF with records")
    if head[:2] != b"\x1f\x8b":
        return "bcf" if head.startswith(b"BCF") else "vcf"
    is_bgzf = len(head) == 18 and bool(head[3] & 4) and head[12:14] == b"BC"
    if is_bgzf and tail != BGZF_END:
        raise InputError(
            f"{name}: the BGZF end-of-file block is missing, so the file was cut short; "
            "copy or make it again (`bcftools index` and `bgzip -t` tell the same)"
        )
    if next(_blocks(path, name, gzipped=True), b"").startswith(b"BCF"):
        return "bcf"
    return "bgzf" if is_bgzf else "gzip"


def read_lines(path: Path, name: str, *, gzipped: bool) -> Iterator[bytes]:
    """Lines of a text file without their newline (a carriage return stays).

    Raises InputError on damaged compression, and where the last line has no newline: a file that was cut inside
    its last genotype looks whole otherwise.
    """
    rest, number = b"", 0
    for block in _blocks(path, name, gzipped):
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        number += len(lines)
        yield from lines
    if rest:
        raise InputError(
            f"{name}: line {number + 1}, the last, does not end with a newline, so the file may be cut short; "
            "make it again, or append a newline if that line is whole"
        )


def _blocks(path: Path, name: str, gzipped: bool) -> Iterator[bytes]:
    try:
        with gzip.open(path, "rb") if gzipped else open(path, "rb") as file:
            while block := file.read(BLOCK_BYTES):
                yield block
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(
            f"{name}: the compressed file is cut short or damaged ({error}); copy or make it again"
        ) from error
    except OSError as error:
        raise InputError(f"{name}: cannot be read ({error.strerror or error}); check the file and its disk") from error


def is_stream(path: str | Path) -> bool:
    """Whether an input can be read but once: `-`, a pipe, or a device such as /dev/stdin."""
    return str(path) == "-" or Path(path).is_fifo() or Path(path).is_char_device()


def spool(path: str | Path, name: str, folder: Path | None = None) -> Path:
    """Copy a stream to a temporary file, deleted at exit: the input is walked more than once."""
    if str(path) == "-" and sys.stdin.isatty():
        raise InputError("standard input is a terminal; pipe a VCF into it, or name a file in place of `-`")
    try:
        with tempfile.NamedTemporaryFile(prefix="imputevae-input-", dir=folder, delete=False) as file:
            atexit.register(_remove, Path(file.name))
            with contextlib.nullcontext(sys.stdin.buffer) if str(path) == "-" else open(path, "rb") as stream:
                shutil.copyfileobj(stream, file, BLOCK_BYTES)
    except OSError as error:
        raise InputError(
            f"{name}: cannot be copied to a temporary file ({error.strerror}); set TMPDIR to a disk with room"
        ) from error
    return Path(file.name)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


@contextlib.contextmanager
def vcf_lines(path: Path, name: str) -> Iterator[Iterator[bytes]]:
    """The lines of a VCF, VCF.gz or BCF; a BCF is turned into text in a temporary file first."""
    kind = file_kind(path, name)
    if kind != "bcf":
        yield read_lines(path, name, gzipped=kind != "vcf")
        return
    with tempfile.TemporaryDirectory(prefix="imputevae-") as folder:
        text = Path(folder) / "input.vcf.gz"
        _bcf_to_text(path, text, name)
        yield read_lines(text, name, gzipped=True)


def _bcf_to_text(path: Path, text: Path, name: str) -> None:
    import pysam
    import pysam.bcftools

    try:
        pysam.bcftools.view("--no-version", "-Oz1", "-o", str(text), str(path), catch_stdout=False)
    except pysam.SamtoolsError as error:
        raise InputError(f"{name}: the BCF cannot be read ({one_line(error)}); make it again") from error


def one_line(error: BaseException) -> str:
    """The first line that an htslib tool printed, without pysam's wrapping."""
    text = str(error).replace("\\n", "\n")
    lines = [line.strip(" '\"()") for line in text.splitlines()]
    return next((line for line in lines if line.startswith(("[E::", "Error"))), lines[0] if lines else "unknown error")
