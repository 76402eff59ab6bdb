"""The text of a VCF: what kind of file it is, its lines, and copies of what has no lines or can be read but once.

Compressed files are read with Python's gzip: it raises on every truncation, which htslib's own reader does not.
"""

from __future__ import annotations

import atexit
import contextlib
import gzip
import re
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from imputevae_cli.errors import InputError
from imputevae_cli.io.bcftools import BcftoolsError, run_bcftools
from imputevae_cli.io.inputs import plink, zarr_vcf
from imputevae_cli.io.inputs.conversions import conversion

BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
"""The empty block that ends every whole BGZF file."""

HEAD_BYTES = 18
"""Of a file, which tell what kind it is: the length of the header of a BGZF block."""
BLOCK_BYTES = 1 << 20
GZIP, BCF = b"\x1f\x8b", b"BCF"
FIRST_LINE = b"##fileformat=VCF"
BOM = b"\xef\xbb\xbf"
COMPRESSIONS = {
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"PK\3\4": "zip",
    b"\x04\x22\x4d\x18": "lz4",
}
"""What files in compressions that are not read begin with, and what the compression is called."""
CONVERTED = {"bed": plink.write_as_vcf, "zarr": zarr_vcf.write_as_vcf}
"""Kinds that are read by way of VCF text: what writes it."""
WITHOUT_LINES = ("bcf", *CONVERTED)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/+")


def file_kind(path: Path, name: str) -> str:
    """`vcf`, `gzip` (a VCF in plain gzip), `bgzf` (a VCF in BGZF), `bcf`, `bed` (PLINK's) or `zarr` (a folder), by
    content rather than by ending.

    Raises InputError on a file that is missing, empty, unreadable, of another compression, or cut short at its end.
    """
    if _is_store(path, name):
        return "zarr"
    head, tail = _ends_of(path, name)
    if not head:
        raise InputError(f"{name}: the file is empty; give a VCF, VCF.gz or BCF with records")
    if head.startswith(plink.MAGIC):
        return "bed"
    if not head.startswith(GZIP):
        _check_compression(head, name)
        return "bcf" if head.startswith(BCF) else "vcf"
    is_bgzf = len(head) == HEAD_BYTES and bool(head[3] & 4) and head[12:14] == b"BC"
    if is_bgzf and tail != BGZF_END:
        raise InputError(
            f"{name}: the BGZF end-of-file block is missing, so the file was cut short; "
            "copy or make it again (`bcftools index` and `bgzip -t` tell the same)"
        )
    if next(_blocks(path, name, gzipped=True), b"").startswith(BCF):
        return "bcf"
    return "bgzf" if is_bgzf else "gzip"


def _is_store(path: Path, name: str) -> bool:
    """Whether a path is a Zarr VCF. Raises InputError for another folder."""
    with _readable(path, name):
        if zarr_vcf.is_store(path):
            return True
        if path.is_dir():
            raise InputError(f"{name}: is a folder, and no Zarr VCF; give a VCF, VCF.gz or BCF file")
    return False


def _ends_of(path: Path, name: str) -> tuple[bytes, bytes]:
    """The first HEAD_BYTES of a file, and as many of its last as end a BGZF file."""
    with _readable(path, name), open(path, "rb") as file:
        head = file.read(HEAD_BYTES)
        size = file.seek(0, 2)
        file.seek(max(0, size - len(BGZF_END)))
        return head, file.read()


@contextlib.contextmanager
def _readable(path: Path, name: str) -> Iterator[None]:
    """Within, what keeps a file from being read becomes an InputError."""
    try:
        yield
    except FileNotFoundError:
        if _URL.match(name):
            raise InputError(f"{name}: is a URL, and files are read from disk alone; download it first") from None
        near = next((f"{name}{ending}" for ending in (".bed", ".vcf.gz") if Path(f"{path}{ending}").is_file()), None)
        raise InputError(f"{name}: no such file; {f'there is {near}' if near else 'check the path'}") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{name}: cannot be read ({reason}); check its path, its permissions and its disk") from error


def _check_compression(head: bytes, name: str) -> None:
    for magic, compression in COMPRESSIONS.items():
        if head.startswith(magic):
            raise InputError(
                f"{name}: is compressed with {compression}, which is not read; decompress it, or use bgzip or gzip"
            )


def text_pieces(path: Path, name: str, *, gzipped: bool) -> Iterator[bytes]:
    """A file's text in pieces of whole lines, without a byte order mark; a last line may lack its newline.

    Raises InputError on damaged compression, on text that is no VCF from its first bytes on, and on NUL bytes, which
    cut texts short in many tools: samples and calls would be lost without a word.
    """
    parts: list[bytes] = []
    n_lines, is_first = 0, True
    for block in _blocks(path, name, gzipped):
        if is_first:
            block, is_first = block.removeprefix(BOM), False
            _check_first_bytes(block, name)
        if b"\0" in block:
            raise _nul_error(b"".join([*parts, block]), n_lines, name)
        cut = block.rfind(b"\n") + 1
        if cut:
            n_lines += block.count(b"\n")
            yield b"".join([*parts, block[:cut]])
            parts = []
        if cut < len(block):
            parts.append(block[cut:])
    if parts:
        yield b"".join(parts)


def _check_first_bytes(block: bytes, name: str) -> None:
    if block.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{name}: not a VCF as it is: the text is UTF-16; convert it to UTF-8, such as with `iconv`")
    if not block.startswith(FIRST_LINE):
        advice = conversion(name) or "give a VCF, BCF, PLINK .bed or Zarr VCF"
        raise InputError(f"{name}: not a VCF: line 1 does not start with `##fileformat=VCF`; {advice}")
    if b"\r" in block and b"\n" not in block:
        raise InputError(f"{name}: its lines end in carriage returns alone; convert it, such as with `tr '\\r' '\\n'`")


def _nul_error(text: bytes, n_lines: int, name: str) -> InputError:
    before = text[: text.index(b"\0")]
    line = before.rpartition(b"\n")[2]
    fields = line.split(b"\t")
    place = b" (%s:%s)" % tuple(fields[:2]) if len(fields) > 2 and not line.startswith(b"#") else b""
    number = n_lines + before.count(b"\n") + 1
    return InputError(
        f"{name}: line {number}{place[:60].decode('utf-8', 'replace')} holds a NUL byte in column {len(fields)}; "
        "remove it, such as with `tr -d '\\000'`, or make the file again"
    )


def read_lines(path: Path, name: str, *, gzipped: bool) -> Iterator[bytes]:
    """Lines of a text file without their newline (a carriage return stays). Errors as in `text_pieces`."""
    for piece in text_pieces(path, name, gzipped=gzipped):
        yield from piece.removesuffix(b"\n").split(b"\n")


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
    try:
        return str(path) == "-" or Path(path).is_fifo() or Path(path).is_char_device()
    except (OSError, ValueError):  # a path that no file can have is told where it is opened
        return False


def spool(path: str | Path, name: str, folder: Path | None = None) -> Path:
    """Copy a stream to a temporary file, deleted at exit: the input is walked more than once."""
    if str(path) == "-" and sys.stdin.isatty():
        raise InputError("standard input is a terminal; pipe a VCF into it, or name a file in place of `-`")
    with (
        temporary_copy(name, folder, "") as file,
        contextlib.nullcontext(sys.stdin.buffer) if str(path) == "-" else open(path, "rb") as stream,
    ):
        shutil.copyfileobj(stream, file, BLOCK_BYTES)
    return Path(file.name)


@contextlib.contextmanager
def temporary_copy(name: str, folder: Path | None, ending: str) -> Iterator[Any]:
    """A temporary file, open for bytes, that is deleted at exit. Raises InputError where it cannot be written."""
    try:
        with tempfile.NamedTemporaryFile(prefix="imputevae-input-", suffix=ending, dir=folder, delete=False) as file:
            atexit.register(_remove, Path(file.name))
            yield file
    except OSError as error:
        raise InputError(
            f"{name}: cannot be copied to a temporary file ({error.strerror}); set TMPDIR to a disk with room"
        ) from error


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def text_of(path: Path, name: str, folder: Path | None = None) -> tuple[Path, bool]:
    """The file itself, or of what has no lines a copy as text, deleted at exit; and whether its text is compressed."""
    kind = file_kind(path, name)
    if kind == "bcf":
        return bcf_as_text(path, name, folder), True
    if kind in CONVERTED:
        with temporary_copy(name, folder, ".vcf.gz") as file:
            CONVERTED[kind](path, name, Path(file.name))
        return Path(file.name), True
    return path, kind != "vcf"


@contextlib.contextmanager
def vcf_lines(path: Path, name: str) -> Iterator[Iterator[bytes]]:
    """The lines of a VCF or VCF.gz."""
    yield read_lines(path, name, gzipped=file_kind(path, name) != "vcf")


def bcf_as_text(path: Path, name: str, folder: Path | None = None) -> Path:
    """A BCF as a VCF.gz in `folder`, deleted at exit. Raises InputError where bcftools cannot read it."""
    _check_bcf_header(path, name)
    with temporary_copy(name, folder, ".vcf.gz") as file:
        text = Path(file.name)
    try:
        run_bcftools("view", "--no-version", "-Oz1", "-o", str(text), str(path))
    except BcftoolsError as error:
        raise InputError(f"{name}: the BCF cannot be read ({error}); it is damaged, make it again") from error
    _drop_false_prefixes(text, name)
    return text


def _check_bcf_header(path: Path, name: str) -> None:
    with open(path, "rb") as file:
        is_compressed = file.read(2) == GZIP
    head = b"".join(_up_to(_blocks(path, name, is_compressed), 9))
    size = 9 + int.from_bytes(head[5:9], "little")
    head = b"".join(_up_to(_blocks(path, name, is_compressed), size))[9:size]
    if b"\0" in head.rstrip(b"\0"):
        raise InputError(f"{name}: the BCF header holds a NUL byte; make the file again")


def _up_to(blocks: Iterator[bytes], size: int) -> Iterator[bytes]:
    for block in blocks:
        yield block
        size -= len(block)
        if size <= 0:
            return


_PLAIN = re.compile(rb"\t\d+(?:\|[\d.]+)*(?=[:\t\n])")
_PREFIXED = re.compile(rb"\t/(?=[\d.]+(?:\|[\d.]+)*[:\t\n])")


def _drop_false_prefixes(text: Path, name: str) -> None:
    """Take phase prefixes out of a BCF's text that its writer did not mean.

    VCF 4.4 gives the phase bit of a call's first allele a meaning. Writers that are older leave it 0, and htslib then
    shows their `0|1` as `/0|1`. In such a file no phased or haploid call goes without a prefix.
    """
    lines = read_lines(text, name, gzipped=True)
    if next(lines, b"") < FIRST_LINE + b"v4.4":
        return
    found = False
    for cells in map(_genotypes, lines):
        if _PLAIN.search(cells):
            return
        found = found or _PREFIXED.search(cells) is not None
    if not found:
        return
    fixed = text.with_suffix(".fixed.gz")
    atexit.register(_remove, fixed)
    with gzip.open(fixed, "wb", 1) as out:
        for line in read_lines(text, name, gzipped=True):
            cells = _genotypes(line)
            out.write(line[: len(line) + 1 - len(cells)] + _PREFIXED.sub(b"\t", cells) if cells else line + b"\n")
    fixed.replace(text)


def _genotypes(line: bytes) -> bytes:
    """The sample columns of a record with the tab before and a newline after, or nothing where it has no GT."""
    fields = line.split(b"\t", 9)
    if line.startswith(b"#") or len(fields) < 10 or fields[8].split(b":", 1)[0] != b"GT":
        return b""
    return b"\t" + fields[9] + b"\n"
