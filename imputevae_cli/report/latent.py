"""The latent map: where each sample lies in the latent space, as a table and as a picture."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from imputevae_cli.config import PlotSettings
from imputevae_cli.data.genotypes import MISSING, GenotypeMatrix
from imputevae_cli.io.outputs import atomic_output
from imputevae_cli.report.pictures import PLAIN_TEXT, legend_text


def write_latent_table(path: str | Path, genotypes: GenotypeMatrix, mu: np.ndarray, sigma: np.ndarray) -> None:
    """One row a sample: name, population, share of its calls that is missing, mu and sigma of each dimension.

    mu, sigma: float (samples, D). Raises OutputError where it cannot be written.
    """
    dimensions = range(1, mu.shape[1] + 1)
    header = ["sample", "population", "missing", *(f"mu{d}" for d in dimensions), *(f"sigma{d}" for d in dimensions)]
    populations = _populations(genotypes)
    missing = _missing_share(genotypes)
    with atomic_output(path) as temporary, open(temporary, "w", encoding="utf-8") as out:
        out.write("\t".join(header) + "\n")
        for i, sample in enumerate(genotypes.samples):
            numbers = [f"{value:.5f}" for value in (*mu[i], *sigma[i])]
            out.write("\t".join([sample, populations[i], f"{missing[i]:.4f}", *numbers]) + "\n")


def draw_latent(path: str | Path, genotypes: GenotypeMatrix, mu: np.ndarray, settings: PlotSettings) -> None:
    """The two main axes of the latent means, coloured by population and by missingness; mu: float (samples, D)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    centred = mu - mu.mean(0)
    left, scale, _ = np.linalg.svd(centred, full_matrices=False)
    axes_2d = np.pad(left * scale, ((0, 0), (0, max(0, 2 - mu.shape[1]))))[:, :2]  # (samples, 2)
    share = scale**2 / max(float((scale**2).sum()), 1e-12)
    populations, missing = _populations(genotypes), _missing_share(genotypes)
    with pyplot.rc_context({"font.size": settings.fontsize, **PLAIN_TEXT}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a population may have any name
        figure, (by_population, by_missing) = pyplot.subplots(1, 2, figsize=(16, 7), layout="constrained")
        names, codes = np.unique(populations, return_inverse=True)
        colours = pyplot.get_cmap("tab20")(np.arange(len(names)) % 20)
        for code, name in enumerate(names):
            by_population.scatter(*axes_2d[codes == code].T, color=colours[code], label=legend_text(name, 60), s=40)
        if len(names) <= 20:
            by_population.legend(fontsize="small")
        points = by_missing.scatter(*axes_2d.T, c=missing, cmap="viridis", s=40)
        figure.colorbar(points, ax=by_missing, label="share of calls missing")
        for axes, title in ((by_population, "by population"), (by_missing, "by missingness")):
            axes.set_title(f"Latent means, {title}")
            axes.set_xlabel(f"axis 1 ({share[0]:.0%})")
            axes.set_ylabel(f"axis 2 ({share[1] if len(share) > 1 else 0:.0%})")
            if settings.despine:
                axes.spines[["top", "right"]].set_visible(False)
        # No dates in the file: the same model draws the same bytes
        metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(settings.fmt)
        with atomic_output(path) as temporary:
            figure.savefig(temporary, format=settings.fmt, dpi=settings.dpi, metadata=metadata)
        pyplot.close(figure)


def _populations(genotypes: GenotypeMatrix) -> np.ndarray:
    if genotypes.populations is None:
        return np.full(genotypes.n_samples, "unknown", object)
    return genotypes.populations


def _missing_share(genotypes: GenotypeMatrix) -> np.ndarray:
    return (genotypes.calls == MISSING).mean(1)
