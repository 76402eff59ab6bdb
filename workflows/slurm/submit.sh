#!/usr/bin/env bash
# Submit the imputation of a cohort to SLURM: train, then an array with a task for each shard, then concat.
# Usage: COHORT=cohort.vcf.gz OUT=results [PANEL=...] [POPMAP=...] [RECORDS_PER_SHARD=20000] submit.sh [more options of sbatch]
# What is done is not done again: the same command takes a run up that failed.
set -euo pipefail

: "${COHORT:?the cohort, a VCF.gz or BCF}" "${OUT:?the folder of the results}"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export COHORT OUT

mkdir -p "$OUT/shards" "$OUT/logs"
[[ -d $OUT/regions ]] || bash "$here/../cut_regions.sh" "$COHORT" "${RECORDS_PER_SHARD:-20000}" "$OUT/regions"
regions=("$OUT"/regions/*.txt)

submit() {
  sbatch --parsable --export=ALL --output="$OUT/logs/%x-%A_%a.log" "$@"
}

train=$(submit "$@" --job-name=imputevae-train "$here/imputevae.sbatch" train)
shards=$(submit "$@" --job-name=imputevae-impute --array="1-${#regions[@]}" --dependency="afterok:${train%%;*}" \
  "$here/imputevae.sbatch" impute)
concat=$(submit "$@" --job-name=imputevae-concat --dependency="afterok:${shards%%;*}" "$here/imputevae.sbatch" concat)
echo "train $train, ${#regions[@]} shards $shards, concat $concat; the result will be $OUT/imputed.vcf.gz"
