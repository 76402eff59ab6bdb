"""Snakemake wrapper of `imputevae impute`."""

__author__ = "The ImputeVAE developers"
__copyright__ = "Copyright 2026, The ImputeVAE developers"
__license__ = "MIT"

import shlex

from snakemake.shell import shell

log = snakemake.log_fmt_shell(stdout=False, stderr=True)
extra = snakemake.params.get("extra", "")
flags = {"popmap": "--popmap", "map": "--map", "model": "--model", "regions": "--regions-file"}
options = " ".join(f"{flag} {shlex.quote(path)}" for name, flag in flags.items() if (path := snakemake.input.get(name)))

shell(
    "imputevae impute {snakemake.input.vcf:q} --output {snakemake.output.vcf:q} --threads {snakemake.threads}"
    " {options} {extra} {log}"
)
