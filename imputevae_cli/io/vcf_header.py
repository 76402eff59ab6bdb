"""The header of an imputed VCF."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

DECLARATIONS = {
    (b"INFO", b"INFO"): b'##INFO=<ID=INFO,Number=1,Type=Float,Description="IMPUTE info score over the imputed calls">',
    (b"INFO", b"NIMP"): b'##INFO=<ID=NIMP,Number=1,Type=Integer,Description="Number of imputed calls">',
    (b"FORMAT", b"GP"): b'##FORMAT=<ID=GP,Number=G,Type=Float,Description="Genotype probabilities">',
    (b"FORMAT", b"DS"): b'##FORMAT=<ID=DS,Number=A,Type=Float,Description="Dosage: the expected count of ALT alleles">',
    (b"FORMAT", b"IMP"): b'##FORMAT=<ID=IMP,Number=1,Type=Integer,Description="1 where the call was imputed, else 0">',
}
ADDED_FORMAT = (b"GP", b"DS", b"IMP")
_IMP = b"1 where the call was imputed, 2 where it was refined, else 0"
_OGT = b'##FORMAT=<ID=OGT,Number=1,Type=String,Description="The genotype before it was refined">'
REFINED_DECLARATIONS = DECLARATIONS | {
    (b"FORMAT", b"IMP"): b'##FORMAT=<ID=IMP,Number=1,Type=Integer,Description="' + _IMP + b'">',
    (b"FORMAT", b"OGT"): _OGT,
}
"""Where visible calls may be rewritten."""
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
    columns = lines[-1].split(b"\t")[:9] + [sample.encode() for sample in samples]
    return kept + [line + end for line in ours] + [b"\t".join(columns) + end]


def declared_by(line: bytes) -> tuple[bytes, bytes] | None:
    """(section, ID) of a declaration, or None for any other line."""
    found = _DECLARED.match(line)
    return (found[1], found[2]) if found else None


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
