"""Damaged VCFs, and an independent, strict reading of them: what may be accepted, and what must come out of it.

For tests/io/test_fuzz.py and bench/fuzz.py. Nothing here uses the code that reads and writes.
"""

from __future__ import annotations

import numpy as np

GENOTYPES = {
    "diploid": ["0/0", "0/1", "1/1", "./."],
    "phased": ["0|0", "0|1", "1|0", "1|1", ".|."],
    "half": ["0/0", "0/1", "1/1", "./1", "0/.", "./."],
    "haploid": ["0", "1", "."],
    "prefixed": ["/0/1", "|0|1", "|1|1", "0/0", "/0|1", "./.", "|.|."],
}
BAD_CELLS = (
    b"0/1:99999999999999999999,3", b"0/1:-5,-7:-1", b"0/1:x,1.5:1e9", b"./.:9223372036854775807,9223372036854775807",
    b"0/0:nan,inf:.", b"1/1:,:,",
    b"NA", b"N/N", b"-9/-9", b"-/-", b"", b" ", b"0/", b"/1", b"0//1", b"0/1/", b"2/2", b"0/9", b"0/10", b"0/255",
    b"1/256", b"0/4294967296", b"4294967297/1", b"0/99999999999999999999", b"0/0/1", b"0/1/1/1", b"0", b"1", b".",
    b"./1", b"0/.", b"|0|1", b"/0/1", b"||0|1", b"00/1", b"0\\1", b"0,1", b"A/C", b"\xff/0", b"0/1:",
    b"0/1:1:2:3:4:5", b":", b"::", b"0 /1", b"+0/1", b"0/1\0", b"\0", b"0/1\x7f", b"0/\xd9\xa1", b"1e0/0", b"0x0/1",
    b"*/0", b"?", b"0/1 ",
)  # fmt: skip
BAD_POSITIONS = (
    b"0", b"-1", b"2147483646", b"2147483647", b"2147483648", b"3000000000", b"4294967297", b"9" * 30, b"1" * 5000,
    b"1.5", b"1e3", b" 7", b"7 ", b"+7", b"", b".", b"x", b"\xd9\xa1", b"0x10", b"00000000000000000007",
)  # fmt: skip
BAD_FIELDS = (
    b"", b".", b" ", b"\xff\xfe", b"\0", b"<DEL>", b"*", b"-", b"1", b",", b"A,", b",C", b"A,C,G", b"N", b"]1:5]A",
    b"a" * 3000, b"\xc3\xa9", b"\xe9", b"GT", b"GT:GT", b"DP:GT", b"AC=1", b"AC=x;AN=", b"AF=nan", b"AF=;;", b"=",
    b";", b"INFO", b"INFO=x", b"IMP", b"GT:IMP", b"GT:GP:DS", b"%", b"\x1b[31m", b"\r", b"#", b"##", b"END=3",
    b"END=99999999999999", b"SVLEN=9e99",
)  # fmt: skip
BAD_BYTES = (
    b"\0", b"\t", b"\n", b"\r", b"\r\n", b"\n\n", b"#", b" ", b":", b"/", b"|", b",", b"\xff", b"\x80", b"9", b"-",
    b"<",
)  # fmt: skip


def valid_vcf(rng: np.random.Generator) -> bytes:
    """A small VCF of a random kind: ploidy, phase, fields, alleles and line ends."""
    kind = str(rng.choice(list(GENOTYPES)))
    spellings = GENOTYPES[kind]
    n_samples, n_records = int(rng.integers(2, 8)), int(rng.integers(2, 12))
    extra = [key for key in ("AD", "DP", "GP", "DS", "IMP") if rng.random() < 0.2]
    version = "4.4" if kind == "prefixed" else str(rng.choice(["4.1", "4.2", "4.3"]))
    header = [f"##fileformat=VCFv{version}", '##FORMAT=<ID=GT,Number=1,Type=String,Description="GT">']
    header += [f"##contig=<ID={c}>" for c in ("1", "2") if rng.random() < 0.7]
    header += [
        f'##INFO=<ID={key},Number=.,Type=Float,Description="x">' for key in ("AC", "AN", "AF") if rng.random() < 0.7
    ]
    types = ("Float", "Integer", "String")
    header += [
        f'##FORMAT=<ID={key},Number=.,Type={rng.choice(types)},Description="x">' for key in extra if rng.random() < 0.7
    ]
    names = [f"s{i}" if rng.random() < 0.9 else f"é {i}" for i in range(n_samples)]
    header.append("\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *names]))
    lines = header
    for i in range(n_records):
        alt = str(rng.choice(["G", "G", "G", "GT", "C,T", ".", "<DEL>", "-"]))
        cells = [str(rng.choice(spellings)) for _ in names]
        if alt == ".":
            cells = [cell.replace("1", "0") for cell in cells]
        elif "," in alt:
            cells[0] = cells[0].replace("1", "2")
        cells = [":".join([cell, *(str(rng.integers(0, 2)) for _ in extra)]) for cell in cells]
        info = str(rng.choice([".", "AC=1;AN=4", "AF=0.1;DP=3", "NS=2;DB", "INFO=0.5", "NIMP=x"]))
        chrom = "1" if 2 * i < n_records else str(rng.choice(["2", "scaffold_9"]))
        fixed = [chrom, str(100 * i + 1), f"rs{i}" if rng.random() < 0.5 else ".", "A", alt, "43.70", "PASS", info]
        lines.append("\t".join([*fixed, ":".join(["GT", *extra]), *cells]))
    end = "\r\n" if rng.random() < 0.1 else "\n"
    return (end.join(lines) + end).encode()


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """The same with one to three damages."""
    for _ in range(int(rng.integers(1, 4))):
        damage = DAMAGES[int(rng.integers(len(DAMAGES)))]
        data = damage(data, rng)
    return data


def _somewhere(data: bytes, rng: np.random.Generator) -> int:
    return int(rng.integers(0, len(data) + 1))


def _pick(values: tuple[bytes, ...], rng: np.random.Generator) -> bytes:
    return values[int(rng.integers(len(values)))]


def flip(data: bytes, rng: np.random.Generator) -> bytes:
    """One byte is another."""
    at = _somewhere(data[:-1], rng)
    return data[:at] + bytes([int(rng.integers(256))]) + data[at + 1 :]


def insert(data: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes more."""
    at = _somewhere(data, rng)
    return data[:at] + _pick(BAD_BYTES, rng) + data[at:]


def remove(data: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes less."""
    at = _somewhere(data, rng)
    return data[:at] + data[at + int(rng.geometric(0.1)) :]


def cut(data: bytes, rng: np.random.Generator) -> bytes:
    """The end is gone."""
    near = rng.random() < 0.5
    return data[: len(data) - int(rng.integers(1, 12))] if near else data[: _somewhere(data, rng)]


def _with_line(data: bytes, rng: np.random.Generator, change) -> bytes:
    lines = data.split(b"\n")
    records = [i for i, line in enumerate(lines) if line and not line.startswith(b"#")]
    if not records:
        return data
    i = records[int(rng.integers(len(records)))]
    lines[i : i + 1] = change(lines[i])
    return b"\n".join(lines)


def another_cell(data: bytes, rng: np.random.Generator) -> bytes:
    """A sample's cell, or the beginning of it, is something else."""

    def change(line: bytes) -> list[bytes]:
        fields = line.split(b"\t")
        if len(fields) < 10:
            return [line]
        at = int(rng.integers(9, len(fields)))
        rest = fields[at].partition(b":")
        fields[at] = _pick(BAD_CELLS, rng) + (rest[1] + rest[2] if rng.random() < 0.7 else b"")
        return [b"\t".join(fields)]

    return _with_line(data, rng, change)


def another_field(data: bytes, rng: np.random.Generator) -> bytes:
    """A fixed column is something else."""

    def change(line: bytes) -> list[bytes]:
        fields = line.split(b"\t")
        at = int(rng.integers(0, min(9, len(fields))))
        fields[at] = _pick(BAD_POSITIONS if at == 1 else BAD_FIELDS, rng)
        return [b"\t".join(fields)]

    return _with_line(data, rng, change)


def another_line(data: bytes, rng: np.random.Generator) -> bytes:
    """A record is gone, is there twice, or has something beside it."""
    what = int(rng.integers(5))
    beside = (b"", b"\r", b"#comment", b"1", b"1\t2")[int(rng.integers(5))]
    return _with_line(data, rng, lambda line: ([], [line, line], [line, beside], [beside, line], [line.strip()])[what])


def another_header(data: bytes, rng: np.random.Generator) -> bytes:
    """The header has a line more, less, or another way of writing one."""
    lines = data.split(b"\n")
    at = int(rng.integers(0, min(len(lines), 8)))
    what = int(rng.integers(7))
    if what == 0:
        lines.pop(at)
    elif what == 1:
        lines.insert(at, _pick((b"", b"##", b"#", b"##x", b"##INFO=<ID=", b"##FORMAT=<>", b"##contig=<ID=\xff>"), rng))
    elif what == 2:
        lines = [b"\xef\xbb\xbf" + lines[0], *lines[1:]]
    elif what == 3:
        lines = [line.replace(b"INFO\tFORMAT", b"INFO  \tFORMAT") for line in lines]
    elif what == 4:
        lines = [line.replace(b"\ts1", _pick((b"\ts0", b"\t", b"\ts1 ", b"\t\xe9", b"\ts\0"), rng)) for line in lines]
    elif what == 5:
        lines = [line.replace(b"VCFv4.2", _pick((b"VCFv4.4", b"VCFv9.9", b"VCF", b"BCF"), rng)) for line in lines]
    else:
        lines = [
            line.replace(b"Type=Float", _pick((b"Type=Flag", b"Type=Integer", b"Type=", b"Type=\xff"), rng))
            for line in lines
        ]
    return b"\n".join(lines)


DAMAGES = (
    flip,
    insert,
    remove,
    cut,
    another_cell,
    another_cell,
    another_field,
    another_field,
    another_line,
    another_header,
)


class Unacceptable(Exception):
    """No reader should take this text for genotypes."""


def strict_records(text: bytes) -> list[list[bytes]]:
    """The columns of every record, of text that a reader may accept. Raises Unacceptable, saying why, for other."""
    text = text.removeprefix(b"\xef\xbb\xbf")
    if b"\0" in text:
        raise Unacceptable("NUL")
    lines = text.replace(b"\r\n", b"\n").split(b"\n")
    lines[-1] = lines[-1].removesuffix(b"\r")
    if lines[-1] == b"":
        lines.pop()
    if not lines or not lines[0].startswith(b"##fileformat=VCF"):
        raise Unacceptable("first line")
    n_header = next((i for i, line in enumerate(lines) if not line.startswith(b"##")), len(lines))
    if n_header == len(lines) or not lines[n_header].startswith(b"#CHROM"):
        raise Unacceptable("no #CHROM")
    names = lines[n_header].split(b"\t")
    _check_names(names)
    prefixed = lines[0] >= b"##fileformat=VCFv4.4"
    records = [line.split(b"\t") for line in lines[n_header + 1 :]]
    for fields in records:
        if len(fields) != len(names) or fields[0].startswith(b"#") or b"" in fields[:9]:
            raise Unacceptable("shape")
        _check_record(fields, prefixed)
    return records


def _check_names(names: list[bytes]) -> None:
    if [name.strip(b" ") for name in names[:9]] != b"#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT".split():
        raise Unacceptable("columns")
    samples = names[9:]
    if len(samples) < 2 or len(set(samples)) < len(samples) or any(not name.strip() for name in samples):
        raise Unacceptable("samples")
    for name in samples:
        _decoded(name)


def _check_record(fields: list[bytes], prefixed: bool) -> None:
    for text in (fields[0], fields[3], fields[4]):
        _decoded(text)
    if not fields[1] or fields[1].strip(b"0123456789") or len(fields[1]) > 10 or int(fields[1]) > 2**31 - 2:
        raise Unacceptable("POS")
    keys = fields[8].split(b":")
    if b"GT" not in keys:
        return
    if keys.index(b"GT") or keys.count(b"GT") > 1:
        raise Unacceptable("GT is not first")
    n_alt = 0 if fields[4] == b"." else len(fields[4].split(b","))
    for cell in fields[9:]:
        parts = cell.split(b":")
        if len(parts) > len(keys):
            raise Unacceptable("fields beyond FORMAT")
        alleles_of(parts[0], n_alt, prefixed)


def alleles_of(genotype: bytes, n_alt: int = 9, prefixed: bool = True) -> list[int | None]:
    """The alleles of a genotype, None where missing."""
    if prefixed and genotype[:1] in (b"/", b"|"):
        genotype = genotype[1:]
    alleles: list[int | None] = []
    for part in genotype.replace(b"|", b"/").split(b"/"):
        if part != b"." and (not part or part.strip(b"0123456789")):
            raise Unacceptable(f"genotype {genotype!r}")
        alleles.append(None if part == b"." else int(part[:40]))
        if part != b"." and int(part[:40]) > n_alt:
            raise Unacceptable(f"allele {part!r}")
    return alleles


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise Unacceptable("not UTF-8") from None


def differences(given: list[list[bytes]], made: list[list[bytes]], exact: bool = True) -> list[str]:
    """What is wrong with the records that were made of the given ones.

    exact: whether text must be the same, or, after a passage through BCF, the alleles alone.
    """
    if len(given) != len(made):
        return [f"{len(given)} records became {len(made)}"]
    wrong = []
    for i, (old, new) in enumerate(zip(given, made, strict=True)):
        if len(old) != len(new) or old[:2] != new[:2] or (exact and old[2:7] != new[2:7]):
            wrong.append(f"record {i}: fixed columns")
        elif old[8:] == new[8:]:
            continue  # passed, perhaps with fields of our names
        elif new[8].endswith(b":GP:DS:IMP") and new[8].startswith(b"GT"):
            wrong += [f"record {i}: {what}" for what in _wrong_cells(old, new, exact)]
        elif exact and not _is_same_but_for_names(old, new):
            wrong.append(f"record {i}: passed, but changed")
    return wrong


def _is_same_but_for_names(old: list[bytes], new: list[bytes]) -> bool:
    keys = new[8].replace(b"INPUT_", b"")
    return old[9:] == new[9:] and old[8].replace(b"INPUT_", b"") == keys and old[7] == new[7].replace(b"INPUT_", b"")


def _wrong_cells(old: list[bytes], new: list[bytes], exact: bool) -> list[str]:
    keys, new_keys = old[8].split(b":"), new[8].split(b":")
    wrong = []
    for cell, made in zip(old[9:], new[9:], strict=True):
        values, made_values = cell.split(b":"), made.split(b":")
        alleles, made_alleles = alleles_of(values[0]), alleles_of(made_values[0])
        is_missing, is_filled = None in alleles, made_values[-1] == b"1"
        if not is_missing and (alleles != made_alleles or (exact and values[0] != made_values[0]) or is_filled):
            wrong.append(f"the known call {cell!r} became {made!r}")
        if is_missing and is_filled and not {a for a in alleles if a is not None} <= set(made_alleles):
            wrong.append(f"{cell!r} was filled as {made!r}")
        if is_missing and not is_filled and alleles != made_alleles:
            wrong.append(f"{cell!r} became {made!r} without a flag")
        for key, value in zip(keys[1:], values[1:], strict=False):
            name = key if key in new_keys[:-3] else b"INPUT_" + key
            if exact and name in new_keys[:-3] and made_values[new_keys.index(name)] != value:
                wrong.append(f"{key!r} of {cell!r} became another in {made!r}")
    return wrong
