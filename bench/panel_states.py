"""A large panel: samples filled from the most similar of its haplotypes (`panels.states`), beside all of them.

    pip install imputevae[bench]
    python bench/panel_states.py [--seeds 31,32] [--states 500,1000,4000] [--out bench/results/panel_states.json]

Simulated as in `panels.py`, of 2 Mb: 2,000 panel samples, and 60 targets that have one common locus in five. Scored:
all cells of the other loci. The seconds are of one window's phasing and filling, one thread, nothing read or written.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import command_line
import msgspec
import msprime
import numpy as np
import panels
from make_cases import variants

from imputevae_cli import __version__
from imputevae_cli.data.cohort import Cohort
from imputevae_cli.panels.fill import PanelWindow, fill_window
from imputevae_cli.panels.settings import PanelSettings
from imputevae_cli.scoring import metrics

LENGTH, N_PANEL, N_TARGETS, EVERY = 2_000_000, 2000, 60, 5


def simulate(seed: int) -> tuple[PanelWindow, Cohort, np.ndarray]:
    """The panel as one window, the targets at its typed loci, and their genotypes at all loci, int8 (N, L)."""
    demography = msprime.Demography.from_species_tree("(A:2000,B:2000)", initial_size=10_000)
    demography.set_symmetric_migration_rate(["A", "B"], 1e-4)
    each, rng = (N_PANEL + N_TARGETS) // 2, np.random.default_rng(seed)
    rates = panels.recombination(rng).slice(right=LENGTH, trim=True)
    trees = msprime.sim_ancestry(
        {"A": each, "B": each}, demography=demography, recombination_rate=rates, random_seed=seed
    )
    trees = msprime.sim_mutations(trees, rate=1.2e-8, model=msprime.BinaryMutationModel(), random_seed=seed)
    haplotypes, pos = variants(trees, 2)
    is_target = np.arange(2 * each) % each >= N_PANEL // 2
    count = haplotypes[:, ~is_target].sum((1, 2))
    kept = (np.minimum(count, 2 * N_PANEL - count) > 1) & np.r_[True, np.diff(pos) > 0]
    haplotypes, pos, frequency = haplotypes[kept], pos[kept].astype(np.int64), count[kept] / (2 * N_PANEL)
    typed = np.flatnonzero(np.minimum(frequency, 1 - frequency) > panels.COMMON)[::EVERY]
    panel = np.ascontiguousarray(haplotypes[:, ~is_target].reshape(len(pos), -1).T, np.uint8)
    window = PanelWindow(panel, pos, typed, slice(0, len(pos)))
    truth = haplotypes[:, is_target].sum(2).T.astype(np.int8)
    return window, Cohort(truth[:, typed], np.zeros(len(typed), np.int32), pos[typed], 2), truth


def row_of(window: PanelWindow, targets: Cohort, truth: np.ndarray, states: int) -> dict[str, float]:
    """Figures of the targets filled from so many haplotypes."""
    settings, start = msgspec.structs.replace(PanelSettings(), states=states), time.process_time()
    with ThreadPoolExecutor(1) as pool:
        gp = fill_window(window, targets, settings, 1, pool).gp
    cpu = time.process_time() - start
    others = np.delete(np.arange(truth.shape[1]), window.typed)
    y, p = truth[:, others].ravel().astype(int), gp[:, others].reshape(-1, 3)
    return {
        "haplotypes": len(window.haplotypes),
        "states": states,
        "loci": len(others),
        "nrd": metrics.non_reference_discordance(y, p.argmax(-1)),
        "log_loss": metrics.log_loss(y, p),
        "cpu_s": round(cpu, 2),
    }


def main() -> None:
    """Run the cases and write JSON."""
    parser = command_line.parser(__doc__, "panel_states")
    parser.add_argument("--seeds", default="31,32")
    parser.add_argument("--states", default="500,1000,4000")
    args = parser.parse_args()
    rows = []
    for seed in map(int, args.seeds.split(",")):
        case = simulate(seed)
        row_of(*case, states=16)  # compiles
        for states in map(int, args.states.split(",")):
            rows.append({"seed": seed, **row_of(*case, states=states)})
            print(rows[-1], file=sys.stderr, flush=True)
            command_line.write(args.out, {"version": __version__, "threads": 1, "rows": rows})


if __name__ == "__main__":
    main()
