"""Records that are not modelled, and pass through as they are: why, and what a user can do about it."""

from __future__ import annotations

from collections.abc import Mapping

from imputevae_cli.data.alleles import MOST_ALT

TOO_MANY_ALT, NO_ALT, SYMBOLIC = f"more than {MOST_ALT} ALT alleles", "no ALT", "symbolic ALT"
NO_GT, NO_CALL, TWICE = "no GT", "no call", "an allele named twice"
UNCLEAR_PLOIDY, MIXED = "a sample of another ploidy than around it", "calls of several ploidies"
POLYPLOID_ALT = "several ALT alleles of polyploids"
"""Reasons why a record is not modelled; where there are polyploids, records of another ploidy than most are counted as
`diploid` or the like."""

UNUSED_ALT = "`bcftools view --trim-alt-alleles` drops ALT alleles that no call has"
FIXES = {
    TOO_MANY_ALT: UNUSED_ALT,
    SYMBOLIC: f"{UNUSED_ALT}, such as <NON_REF>",
    NO_ALT: "give a file whose sites vary",
    NO_GT: "call genotypes at the other records too",
}
"""By reason, how a file can be had whose records are modelled."""


def why_not_modelled(ref: str, alt: str) -> str | None:
    """The reason why a record of these alleles is passed through, or None where it is modelled.

    Any names are alleles, `-`, `*` and numbers too, but for what VCF gives another meaning. alt: parted by commas.
    """
    if alt == ".":
        return NO_ALT
    alleles = alt.split(",")
    if len(alleles) > MOST_ALT:
        return TOO_MANY_ALT
    breakend = any(not a or a == "." or a[0] == "." or a[-1] == "." for a in alleles)
    if breakend or ref == "*" or set("<>[]") & set(ref + alt):
        return SYMBOLIC
    return TWICE if len({ref, *alleles}) <= len(alleles) else None


def in_words(passed: Mapping[str, int]) -> str:
    """How many records are not modelled, by reason."""
    return ", ".join(f"{count} {reason}" for reason, count in passed.items() if count) or "none"


def fix_for(passed: Mapping[str, int]) -> str:
    """How to get more records that are modelled, by the commonest reason why they are not."""
    commonest = max(passed, key=lambda reason: passed[reason], default="")
    return FIXES.get(commonest, "give a file with records of called alleles")
