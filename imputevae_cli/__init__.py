"""imputevae: fills in missing SNP genotypes.

>>> from imputevae_cli import Config, ImputeVAE, read_vcf
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imputevae_cli.config import Config
    from imputevae_cli.data.genotypes import GenotypeMatrix
    from imputevae_cli.data.popmap import PopMap
    from imputevae_cli.evaluation.api import evaluate
    from imputevae_cli.imputed import ImputedGenotypes
    from imputevae_cli.imputer import ImputeVAE
    from imputevae_cli.io.vcf_reader import read_vcf
    from imputevae_cli.panels.panel import Panel
    from imputevae_cli.report.imputation_page import write_report
    from imputevae_cli.tuning.api import tune

__version__ = "0.2.0"
"""The one place that says so; pyproject.toml reads it, and a test holds CITATION.cff and the recipe of conda to it."""

_LAZY = {
    "Config": "imputevae_cli.config",
    "GenotypeMatrix": "imputevae_cli.data.genotypes",
    "ImputeVAE": "imputevae_cli.imputer",
    "ImputedGenotypes": "imputevae_cli.imputed",
    "Panel": "imputevae_cli.panels.panel",
    "PopMap": "imputevae_cli.data.popmap",
    "evaluate": "imputevae_cli.evaluation.api",
    "read_vcf": "imputevae_cli.io.vcf_reader",
    "tune": "imputevae_cli.tuning.api",
    "write_report": "imputevae_cli.report.imputation_page",
}
__all__ = [
    "Config",
    "GenotypeMatrix",
    "ImputeVAE",
    "ImputedGenotypes",
    "Panel",
    "PopMap",
    "__version__",
    "evaluate",
    "read_vcf",
    "tune",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """Import torch, numpy and pysam only when something that needs them is asked for: `--help` needs none."""
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """What there is, imported or not."""
    return sorted({*globals(), *__all__})
