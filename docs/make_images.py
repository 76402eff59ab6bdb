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
    figure, axes = plt.subplots(figsize=(9, 3.2), layout="constrained")
    axes.set(xlim=(-1, 101), ylim=(2, 35))
    axes.axis("off")

    def box(x: float, y: float, width: float, height: float, title: str, text: str, strong: bool = False) -> None:
        style = FancyBboxPatch((x, y), width, height, boxstyle="round,pad=0.4", fc="#e0f2f1" if strong else "#f5f7f8")
        style.set(ec=OURS if strong else OTHERS, lw=1.2)
        axes.add_patch(style)
        axes.text(x + width / 2, y + height - 1.2, title, ha="center", va="top", weight="bold", fontsize=8.5)
        axes.text(x + width / 2, y + height - 4.2, text, ha="center", va="top", fontsize=7, linespacing=1.35)

    def arrow(start: tuple[float, float], end: tuple[float, float]) -> None:
        axes.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": INK, "lw": 1})

    box(0, 13, 13, 11, "VCF record", "io/\ncalls of one locus,\nhalf-calls missing")
    box(18, 13, 13, 11, "matrix", "data/\na byte per sample\nand locus")
    box(36, 13, 13, 11, "held-out calls", "masking/\nhidden as the real\nones are missing")
    for y, title, text in (
        (26, "VAE", "decoders/vae/  structure"),
        (14.5, "nearest neighbours", "decoders/knn/  samples alike"),
        (3, "haplotype copying", "decoders/copying/  linkage"),
    ):
        box(54, y, 18, 8, title, text, strong=True)
        arrow((49.6, 18.5), (53.4, y + 4))
        arrow((72.6, y + 4), (76.4, 18.5))
    box(77, 13, 9, 11, "gate", "ensemble/\nhow much\neach is\nbelieved")
    box(91, 13, 9, 11, "filled VCF", "imputed, io/\nGT, GP, DS,\nall else\nas it was")
    for start, end in ((13.6, 17.4), (31.6, 35.4), (86.6, 90.4)):
        arrow((start, 18.5), (end, 18.5))
    figure.savefig(IMAGES / "architecture.svg", metadata={"Date": None})


if __name__ == "__main__":
    with plt.rc_context(STYLE):
        result(Path(sys.argv[1]))
        architecture()
