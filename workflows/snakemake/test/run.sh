#!/usr/bin/env bash
# Make a cohort of three contigs in a folder and impute it by region with the workflow; more arguments go to Snakemake.
# Usage: run.sh FOLDER [--cores N ...]
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=${1:?usage: run.sh FOLDER [--cores N ...]}
shift
[[ $# -gt 0 ]] || set -- --cores 1
python "$here/../../make_test_cohort.py" "$folder"
snakemake --snakefile "$here/../workflow/Snakefile" --configfile "$here/config.yaml" --directory "$folder" "$@"
