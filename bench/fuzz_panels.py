"""Damaged and odd reference panels, as files and packed, given to `impute --panel`'s code in worker processes.

    python bench/fuzz_panels.py --n 1000      # results in bench/results/fuzz_panels.json

Each case has a small target of a random kind (tests/vcf_fuzz.py) and a panel of its loci and others, of another kind,
or of other loci altogether; one of the two, both or none is damaged, or the packed panel is. Counted as in fuzz.py; an
acceptance is wrong where the output cannot be read, or changes a known call of the target.
"""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
from fuzz import Results, Worker, as_bcf, flipped, run_all, text_of
from vcf_fuzz import GENOTYPES, Unacceptable, damaged, differences, strict_records, valid_vcf

DAMAGED = {"nothing": 0.15, "target": 0.15, "panel": 0.25, "both": 0.05, "bcf panel": 0.1, "packed panel": 0.3}
"""What is damaged, and how often."""


def pack_and_fill(target: Path, panel: Path, packed: Path, made: Path, damage: str) -> None:
    """Pack a panel, damage what is packed where asked for, and fill the target from it."""
    from imputevae_cli.panels.panel import Panel

    Panel.pack(panel, packed, force=True)
    if damage:
        packed.write_bytes(flipped(packed.read_bytes(), np.random.default_rng(int(damage))))
    Panel.load(packed).impute(target, threads=1).write(made)


def by_chromosome(data: bytes) -> bytes:
    """The same VCF with each chromosome in one piece."""
    lines = data.split(b"\n")[:-1]
    return b"\n".join([*sorted(lines, key=lambda line: b"" if line[:1] == b"#" else line.split(b"\t")[0]), b""])


def panel_for(target: bytes, rng: np.random.Generator) -> bytes:
    """A panel that has the loci of a target, and another behind each."""
    lines = target.decode().splitlines()
    n_samples, kind = int(rng.integers(2, 9)), str(rng.choice(list(GENOTYPES)))
    header = [line for line in lines if line.startswith("##")]
    names = [f"p{i}" for i in range(n_samples)]
    header.append("\t".join([*next(line for line in lines if line.startswith("#CHROM")).split("\t")[:9], *names]))
    records = []
    for chrom, pos, name, ref, alt, *_ in (line.split("\t") for line in lines if line[0] != "#"):
        for place, alleles in ((int(pos), (ref, alt)), (int(pos) + int(rng.integers(1, 90)), ("C", "T"))):
            cells = [str(cell) for cell in rng.choice(GENOTYPES[kind], n_samples)]
            records.append("\t".join([chrom, str(place), name, *alleles, ".", "PASS", ".", "GT", *cells]))
    return ("\n".join([*header, *records]) + "\n").encode()


def make_case(i: int, seed: int, folder: Path) -> tuple[Path, Path, str]:
    """Write the i-th case: its target, its panel, and what is damaged."""
    rng = np.random.default_rng([seed, i])
    what = str(rng.choice(list(DAMAGED), p=list(DAMAGED.values())))
    target = by_chromosome(valid_vcf(rng))
    panel = by_chromosome(valid_vcf(rng)) if rng.random() < 0.2 else panel_for(target, rng)
    target = damaged(target, rng) if what in ("target", "both") else target
    panel = damaged(panel, rng) if what in ("panel", "both") else panel
    target_path, panel_path = folder / f"target{i}.vcf", folder / f"panel{i}.vcf"
    if what == "bcf panel" and (bcf := as_bcf(panel, panel_path)):
        panel = flipped(bcf, rng) if rng.random() < 0.5 else bcf
    target_path.write_bytes(target)
    panel_path.write_bytes(panel)
    return target_path, panel_path, what


def wrong_acceptance(target: Path, made: Path) -> str | None:
    """Why an accepted case should not have been, or did not come out as it should."""
    try:
        given, written = strict_records(target.read_bytes()), strict_records(text_of(made) or b"")
    except Unacceptable as error:
        return f"accepted: {error}"
    given = [record for record in given if record[8].startswith(b"GT")]  # the panel's record says more than one without
    places = {tuple(record[:5]) for record in given}
    return "; ".join(differences(given, [one for one in written if tuple(one[:5]) in places])[:3]) or None


def run_cases(numbers: range, seed: int, folder: Path, keep: Path | None) -> Results:
    """Counts over some cases, and what went wrong."""
    worker, counts, failures = Worker(pack_and_fill), Counter(), []
    for i in numbers:
        target, panel, what = make_case(i, seed, folder)
        packed, made = folder / f"{i}.ivae", folder / f"made{i}.vcf"
        found, detail = worker.run(target, panel, packed, made, str(i) if what == "packed panel" else "")
        if found == "accepted" and (why := wrong_acceptance(target, made)):
            found, detail = "wrong acceptance", why
        counts[found] += 1
        counts[f"{what}: {found}"] += 1
        if found not in ("accepted", "refused"):
            failures.append({"case": i, "damaged": what, "what": found, "detail": detail})
            for file in (target, panel) if keep else ():
                shutil.copy(file, keep)
        for file in (target, panel, packed, made):
            file.unlink(missing_ok=True)
    worker.stop()
    return counts, failures


if __name__ == "__main__":
    run_all(__doc__, "fuzz_panels", 1000, run_cases)
