#!/usr/bin/env bash
# Run the test of the wrapper in a folder, on the cohort of workflows/make_test_cohort.py; more arguments go to Snakemake.
# Usage: run.sh FOLDER [--cores N ...]
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=${1:?usage: run.sh FOLDER [--cores N ...]}
shift
[[ $# -gt 0 ]] || set -- --cores 1
python "$here/../../../../../../make_test_cohort.py" "$folder"
ln -sfn "$(cd "$here/../../../.." && pwd)" "$folder/master" # as the wrappers of Snakemake's repository are named
snakemake --snakefile "$here/Snakefile" --directory "$folder" --wrapper-prefix "file://$(cd "$folder" && pwd)/" "$@"
