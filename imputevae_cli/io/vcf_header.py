"""The header of an imputed VCF."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from imputevae_cli.io.vcf_check import fixed_columns
from imputevae_cli.log import logger

DECLARATIONS = {
    (b"INFO", b"INFO"): b'##INFO=<ID=INFO,Number=1,Type=Float,Description="IMPUTE info score over the imputed calls">',
    (b"INFO", b"NIMP"): b'##INFO=<ID=NIMP,Number=1,Type=Integer,Description="Number of imputed calls">',
    (b"FORMAT", b"GP"): b'##FORMAT=<ID=GP,Number=G,Type=Float,Description="Genotype probabilities">',
    (b"FORMAT", b"DS"): b'##FORMAT=<ID=DS,Number=A,Type=Float,Description="Dosage: the expected count of ALT alleles">',
    (
        b"FORMAT",
        b"IMP",
    ): b'##FORMAT=<ID=IMP,Number=1,Type=Integer,Description="1 where the call was imputed; else 0">',
}
"""What is added, by section and key. No comma in a description: vcftools warns of it."""
ADDED_FORMAT = (b"GP", b"DS", b"IMP")
ADDED_INFO = (b"INFO", b"NIMP")
_IMP = b"1 where the call was imputed; 2 where it was refined; else 0"
_OGT = b'##FORMAT=<ID=OGT,Number=1,Type=String,Description="The genotype before it was refined">'
REFINED_DECLARATIONS = DECLARATIONS | {
    (b"FORMAT", b"IMP"): b'##FORMAT=<ID=IMP,Number=1,Type=Integer,Description="' + _IMP + b'">',
    (b"FORMAT", b"OGT"): _OGT,
}
"""Where visible calls may be rewritten."""
SEVERAL_ALT = {
    (b"INFO", b"INFO"): DECLARATIONS[b"INFO", b"INFO"].replace(b"Number=1", b"Number=A"),
}
"""In place of those above, where records have several ALT alleles."""
REFINED_FORMAT = (*ADDED_FORMAT, b"OGT")
_DECLARED = re.compile(rb"##(INFO|FORMAT|FILTER|contig)=<.*?ID=([^,>]+)")
_PROVENANCE = (b"##imputevae_version=", b"##imputevae_command=")


def output_header(
    lines: Iterable[bytes],
    samples: Sequence[str],
    version: str,
    command: str,
    extra: Iterable[bytes] = (),
    declarations: Mapping[tuple[bytes, bytes], bytes] = DECLARATIONS,
) -> list[bytes]:
    """The header lines of the output, `#CHROM` last: clashing declarations go, `declarations` and `extra` come.

    lines: the input's header, with `#CHROM`. samples: the columns to write. Carriage returns are kept.
    """
    lines = list(lines)
    end = b"\r" if lines[-1].endswith(b"\r") else b""
    kept = [line for line in lines[:-1] if declared_by(line) not in declarations and not line.startswith(_PROVENANCE)]
    one_line = " ".join(command.split())
    ours = [*extra, *declarations.values()]
    ours += [b"##imputevae_version=" + version.encode(), b"##imputevae_command=" + one_line.encode()]
    columns = fixed_columns(lines[-1])[:9] + [sample.encode() for sample in samples]
    return kept + [line + end for line in ours] + [b"\t".join(columns) + end]


def declared_by(line: bytes) -> tuple[bytes, bytes] | None:
    """(section, ID) of a declaration, or None for any other line."""
    found = _DECLARED.match(line)
    return (found[1], found[2]) if found else None


class Renamed(NamedTuple):
    """What a field of the input is called in the output, and its declaration there."""

    key: bytes
    declaration: bytes


def renamed_fields(
    lines: Iterable[bytes],
    own_keys: Iterable[tuple[bytes, bytes]],
    declarations: Mapping[tuple[bytes, bytes], bytes] = DECLARATIONS,
) -> dict[tuple[bytes, bytes], Renamed]:
    """Fields of the input that cannot stay under their names: what we declare there is of another kind.

    lines: the input's header. own_keys: (section, key) of the names that we use and that its records use too.
    declarations: ours. A field
    that is renamed keeps its values in all records; one that fits our declaration keeps them in records that pass
    through, and is replaced where calls are imputed. Both are said in the log.
    """
    declared: dict[tuple[bytes, bytes] | None, bytes] = {}
    for line in lines:
        declared.setdefault(declared_by(line), line.removesuffix(b"\r"))
    renamed, replaced = {}, []
    for section, key in sorted(declarations.keys() & set(own_keys)):
        theirs = declared.get((section, key))
        label = f"{section.decode()}/{key.decode()}"
        if theirs is not None and _fits(theirs, declarations[section, key]):
            replaced.append(label)
            continue
        name = b"INPUT_" + key
        while (section, name) in declared:
            name += b"_"
        if theirs is None:
            declaration = _declaration(section, name, is_flag=False)
        else:
            declaration = theirs.replace(b"ID=" + key, b"ID=" + name, 1)
        renamed[section, key] = Renamed(name, declaration)
        kept = name.decode()
        logger.warning("the input's own %s is of another kind than the one written; it is kept as %s", label, kept)
    if replaced:
        logger.info("the input's own %s are replaced where calls are imputed", ", ".join(replaced))
    return renamed


def _fits(theirs: bytes, ours: bytes) -> bool:
    """Whether what one declaration allows is allowed by the other: the same type or Integer for Float, and as many."""
    (number, kind), (our_number, our_kind) = (_number_and_type(line) for line in (theirs, ours))
    same_type = kind == our_kind or (kind, our_kind) == (b"Integer", b"Float")
    return same_type and (number == our_number or (our_number != b"G" and number in (b"1", b"A", b".")))


def _number_and_type(declaration: bytes) -> tuple[bytes, bytes]:
    before = declaration.partition(b"Description=")[0]
    number, kind = (re.search(name + rb"=([^,>]+)", before) for name in (b"Number", b"Type"))
    return number[1] if number else b"", kind[1] if kind else b""


def with_renamed(line: bytes, renamed: Mapping[tuple[bytes, bytes], Renamed]) -> bytes:
    """A record's line with other names for its fields."""
    fields = line.split(b"\t", 9)
    items = []
    for item in fields[7].split(b";"):
        key, equals, value = item.partition(b"=")
        found = renamed.get((b"INFO", key))
        items.append(found.key + equals + value if found else item)
    fields[7] = b";".join(items)
    keys = [renamed[b"FORMAT", key].key if (b"FORMAT", key) in renamed else key for key in fields[8].split(b":")]
    fields[8] = b":".join(keys)
    return b"\t".join(fields)


def missing_declarations(lines: Iterable[bytes]) -> list[bytes]:
    """Declarations for what a file's records use and its header lacks: a BCF cannot do without."""
    declared = {(b"FILTER", b"PASS"), (b"FILTER", b"."), (b"INFO", b"."), (b"INFO", b""), *DECLARATIONS}
    missing: dict[tuple[bytes, bytes], bytes] = {}
    formats = {b"."}
    for line in lines:
        if line.startswith(b"#"):
            declared.add(declared_by(line) or (b"", b""))
            continue
        fields = line.split(b"\t", 9)
        used = [(b"contig", fields[0], b"")]
        used += [(b"FILTER", key, b"") for key in fields[6].split(b";")]
        used += [(b"INFO", *item.partition(b"=")[:2]) for item in fields[7].removesuffix(b"\r").split(b";")]
        if fields[8] not in formats:
            formats.add(fields[8])
            used += [(b"FORMAT", key, b"") for key in fields[8].split(b":")]
        for section, key, equals in used:
            if (section, key) not in declared:
                declared.add((section, key))
                missing[section, key] = _declaration(section, key, is_flag=not equals)
    return list(missing.values())


def _declaration(section: bytes, key: bytes, is_flag: bool) -> bytes:
    body = b"ID=" + key
    if section == b"FORMAT":
        body += b",Number=1,Type=String" if key == b"GT" else b",Number=.,Type=String"
    elif section == b"INFO":
        body += b",Number=0,Type=Flag" if is_flag else b",Number=.,Type=String"
    if section != b"contig":
        body += b',Description="Not declared in the input"'
    return b"##" + section + b"=<" + body + b">"
