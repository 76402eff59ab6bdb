"""Loss and time of the copying decoder by its schedule, and by how its chains go on with the held-out calls put back.

usage: python bench/schedules.py --cases DIR [--only NAME,...] [--loci 1800] [--out bench/results/schedules.json]

DIR holds folders as `bench/make_cases.py` makes them, of which up to so many loci in the middle are used. No trial
is run, and each fit is calibrated on 5,000 of the calls that it is scored on, so that nothing but the chains differs. A
fit `anew` has all calls; one of `visible` calls lacks a twelfth of those known; one that `goes on` follows it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import command_line
import numpy as np

from imputevae_cli import __version__, read_vcf
from imputevae_cli.data.cohort import Cohort
from imputevae_cli.data.genotypes import MISSING
from imputevae_cli.data.hidden_calls import HiddenCells
from imputevae_cli.decoders.copying.model import CopyingModel
from imputevae_cli.decoders.copying.posterior import HaplotypePosterior
from imputevae_cli.decoders.copying.rules import DEFAULT, RefitRules, SizeRules
from imputevae_cli.decoders.copying.schedule import Schedule
from imputevae_cli.scoring import metrics

Row = dict[str, Any]
SHARE, CALIBRATED_ON = 1 / 12, 5000
LONG = {"chains": 2, "donors": 60, "pieces": 8, "cooling": 0.6}
LARGE_LONG = {"donors": 64, "pieces": 16}
OTHERS: tuple[tuple[int, list[dict[str, Any]]], ...] = (
    (150, [{"chains": 3}, {"donors": 32}, {"refresh": 2}]),
    (700, [LONG, LONG | {"cooling": 0.7}, LONG | {"donors": 48}, {"pieces": 8}, {"cooling": 0.6}, {"chains": 1}]),
    (10**9, [LARGE_LONG, LARGE_LONG | {"cooling": 0.6}, LARGE_LONG | {"donors": 80}, {"donors": 64}, {"chains": 2}]),
)
"""What is changed in the schedule of the size rules, up to so many samples; LONG and LARGE_LONG are their
`of_medium_long` and `of_large_long`."""
REFITS: tuple[dict[str, Any], ...] = ({}, {"reheated": 0}, {"kept_share": 1.0}, {"earlier_share": 0.0})


@dataclass(frozen=True)
class Case:
    """A cohort whose missing calls are known. truth: int8 (N, L). scored: bool (N, L)."""

    name: str
    cohort: Cohort
    truth: np.ndarray
    scored: np.ndarray

    @classmethod
    def read(cls, folder: Path, most: int) -> Case:
        """The loci in the middle of a folder's files."""
        masked, truth = (read_vcf(str(folder / f"{which}.vcf.gz")) for which in ("masked", "truth"))
        n_loci = masked.calls.shape[1]
        first = max(0, (n_loci - most) // 2)
        loci = np.arange(first, min(n_loci, first + most))
        whole = Cohort(masked.calls, masked.loci.chrom_codes, masked.loci.positions, masked.ploidy)
        cohort = whole.subset(np.arange(len(masked.calls)), loci)
        known = np.ascontiguousarray(truth.calls[:, loci])
        return cls(folder.name, cohort, known, (cohort.calls == MISSING) & (known != MISSING))

    def scores(self, posterior: HaplotypePosterior) -> dict[str, float]:
        """On the scored cells, calibrated on some of them."""
        cells = np.flatnonzero(self.scored)
        some = np.random.default_rng(5).choice(cells, min(CALIBRATED_ON, len(cells)), replace=False)
        posterior = replace(posterior, calls=self.cohort.calls)
        gp = posterior.calibrated(HiddenCells.at(np.sort(some), self.truth)).shown_gp(0, self.cohort.n_loci)
        y, gp = self.truth[self.scored].astype(int), gp[self.scored]
        nrd, loss = metrics.non_reference_discordance(y, gp.argmax(1)), metrics.log_loss(y, gp)
        return {"nrd": round(float(nrd), 5), "log_loss": round(float(loss), 5)}


def rows_of(case: Case) -> Iterator[Row]:
    """All schedules anew, then a fit on visible calls and all ways of going on from it."""
    n_samples = len(case.cohort.calls)
    rule, nothing = SizeRules().schedule_for(n_samples), HiddenCells.none()
    others = next(others for most, others in OTHERS if n_samples <= most)
    model = CopyingModel(seed=1)

    def row(how: str, schedule: Schedule, refit: RefitRules | None, fit: Callable[[], HaplotypePosterior]) -> Row:
        start = time.process_time()
        posterior = fit()
        cpu_s = round(time.process_time() - start, 1)
        rules = None if refit is None else asdict(refit)
        head = {"case": case.name, "how": how, **case.scores(posterior), "cpu_s": cpu_s}
        return head | {"schedule": asdict(schedule), "refit": rules}

    for change in ({}, *others):
        schedule = replace(rule, **change)
        yield row("anew", schedule, None, partial(model.fit, case.cohort, hidden=nothing, schedule=schedule))
    known = np.flatnonzero(case.cohort.calls != MISSING)
    drawn = np.random.default_rng(1).choice(known, int(SHARE * len(known)), replace=False)
    hidden = HiddenCells.at(np.sort(drawn), case.cohort.calls)
    with hidden.hidden_in(case.cohort.calls):
        visible = model.fit(case.cohort, hidden=hidden, schedule=rule)
    for change in REFITS:
        refit = replace(DEFAULT.refit, **change)
        again = CopyingModel(seed=1, rules=replace(DEFAULT, refit=refit))
        yield row("goes on", rule, refit, partial(again.go_on, case.cohort, visible))


def main() -> None:
    """Run all, write JSON, print a table."""
    parser = command_line.parser(__doc__, "schedules")
    parser.add_argument("--cases", type=Path, required=True, action="append")
    parser.add_argument("--only", default="")
    parser.add_argument("--loci", type=int, default=1800)
    args = parser.parse_args()
    files = [file for cases in args.cases for file in sorted(cases.glob("*/truth.vcf.gz"))]
    rows: list[Row] = []
    for folder in (file.parent for file in files):
        if args.only and folder.name not in args.only.split(","):
            continue
        for row in rows_of(Case.read(folder, args.loci)):
            rows.append({"of": folder.parent.name, **row})
            print(*(row[key] for key in ("case", "how", "nrd", "log_loss", "cpu_s")), flush=True)
            command_line.write(args.out, {"version": __version__, "rows": rows})


if __name__ == "__main__":
    main()
