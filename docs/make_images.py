"""Draws docs/images: the result of evaluating the example, and the way of one genotype.

usage: imputevae evaluate test_data/example.vcf.gz --popmap test_data/example.popmap -o evaluation
       python docs/make_images.py evaluation
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch

IMAGES = Path(__file__).parent / "images"
NAMES = {
    "model": "imputevae",
    "ld_knni": "LD-kNNi",
    "population_mode": "commonest in population",
    "population_frequencies": "population frequencies",
    "mode": "commonest genotype",
}
OURS, OTHERS, INK = "#00796b", "#b0bec5", "#37474f"
STYLE = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "imputevae"}
STYLE |= {"text.color": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "svg.fonttype": "path"}


def result(evaluation: Path) -> None:
    """NRD of the model and the baselines; accuracy against confidence."""
    report = json.loads((evaluation / "report.json").read_text())
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 2.9), width_ratios=(1.35, 1), layout="constrained")
    nrd = {name: report["metrics"][name]["nrd"] for name in NAMES}
    order = sorted(nrd, key=lambda name: nrd[name]["value"], reverse=True)
    values = [nrd[name]["value"] for name in order]
    below = [nrd[name]["value"] - nrd[name]["low"] for name in order]
    above = [nrd[name]["high"] - nrd[name]["value"] for name in order]
    colours = [OURS if name == "model" else OTHERS for name in order]
    left.barh([NAMES[name] for name in order], values, xerr=(below, above), color=colours, ecolor=INK, height=0.65)
    for place, value in enumerate(values):
        left.text(value + above[place] + 0.012, place, f"{value:.2f}", va="center")
    left.set_xlim(0, 0.95)
    left.set_xlabel("wrong among the calls that are not plainly\nhomozygous reference (NRD); lower is better")
    lines = (evaluation / "calibration.tsv").read_text().splitlines()
    rows = [line.split("\t") for line in lines[1:] if line.startswith("model\t")]
    points = [(float(r[4]), float(r[5]), int(r[3])) for r in rows if int(r[3]) >= 10]
    right.plot([0.35, 1], [0.35, 1], color=OTHERS, lw=1, zorder=1)
    sure, correct, counts = zip(*points, strict=True)
    right.scatter(sure, correct, s=[12 + 2 * n**0.5 for n in counts], color=OURS, zorder=2)
    right.set(xlabel="how sure it was (best GP)", ylabel="share that is right", xlim=(0.35, 1.02), ylim=(0.35, 1.03))
    figure.savefig(IMAGES / "result.svg", metadata={"Date": None})


def architecture() -> None:
    """Boxes and arrows: the way of one genotype."""
    figure, axes = plt.subplots(figsize=(9, 4.0), layout="constrained")
    axes.set(xlim=(-1, 101), ylim=(1, 44))
    axes.axis("off")

    def box(x: float, y: float, width: float, height: float, title: str, text: str, strong: bool = False) -> None:
        style = FancyBboxPatch((x, y), width, height, boxstyle="round,pad=0.4", fc="#e0f2f1" if strong else "#f5f7f8")
        style.set(ec=OURS if strong else OTHERS, lw=1.2)
        axes.add_patch(style)
        axes.text(x + width / 2, y + height - 1.2, title, ha="center", va="top", weight="bold", fontsize=8.5)
        axes.text(x + width / 2, y + height - 4.2, text, ha="center", va="top", fontsize=7, linespacing=1.35)

    def arrow(start: tuple[float, float], end: tuple[float, float]) -> None:
        axes.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": INK, "lw": 1})

    middle = 20.5
    box(0, 14.5, 12, 12, "VCF record", "io/\ncalls, likelihoods\nor read counts\nof one locus")
    box(16.5, 14.5, 12, 12, "matrix", "data/\na byte per call;\ntwo for evidence,\nif uncertain")
    box(33, 14.5, 12, 12, "held-out cells", "masking/\nhidden as the real\nones are missing,\nevidence and all")
    for y, title, text in (
        (34, "frequencies", "decoders/frequencies/  baseline"),
        (26, "VAE", "decoders/vae/  structure"),
        (18, "nearest neighbours", "decoders/knn/  samples alike"),
        (10, "haplotype copying", "decoders/copying/  linkage"),
        (2, "founder haplotypes", "decoders/founders/  reads"),
    ):
        box(49.5, y, 19, 6, title, text, strong=True)
        arrow((45.6, middle), (48.9, y + 3))
        arrow((69.1, y + 3), (72.9, middle))
    box(73.5, 14.5, 11.5, 12, "gate", "ensemble/\nhow much each\nis believed; then\nthe own reads")
    box(89, 14.5, 11, 12, "filled VCF", "imputed, io/\nGT, GP, DS,\nall else\nas it was")
    axes.text(59, 42.6, "the plan (ensemble/plan) says which of these are fitted", ha="center", va="center", fontsize=7)
    for start, end in ((12.6, 15.9), (29.1, 32.4), (85.6, 88.4)):
        arrow((start, middle), (end, middle))
    figure.savefig(IMAGES / "architecture.svg", metadata={"Date": None})


if __name__ == "__main__":
    with plt.rc_context(STYLE):
        result(Path(sys.argv[1]))
        architecture()
