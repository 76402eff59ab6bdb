"""imputevae: fills in missing SNP genotypes.

>>> from imputevae_cli import Config, ImputeVAE, read_vcf
"""

from importlib import import_module

__version__ = "0.2.0"
"""The one place that says so; pyproject.toml reads it, and a test holds CITATION.cff and the recipe of conda to it."""

_LAZY = {
    "Config": "imputevae_cli.config",
    "GenotypeMatrix": "imputevae_cli.data.genotypes",
    "ImputeVAE": "imputevae_cli.imputer",
    "ImputedGenotypes": "imputevae_cli.imputed",
    "PopMap": "imputevae_cli.data.popmap",
    "read_vcf": "imputevae_cli.io.vcf_reader",
}
__all__ = ["Config", "GenotypeMatrix", "ImputeVAE", "ImputedGenotypes", "PopMap", "__version__", "read_vcf"]


def __getattr__(name: str):
    """Import torch, numpy and pysam only when something that needs them is asked for: `--help` needs none."""
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
