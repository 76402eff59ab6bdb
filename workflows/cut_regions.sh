#!/usr/bin/env bash
# Cut a file into regions of about so many records, one `chrom:start-end` a line, for impute --region.
# Regions follow one another without a gap inside a chromosome, none begins at a position that the last one ends with,
# and a chromosome without records has none.
#
# Usage: cut_regions.sh COHORT.vcf.gz RECORDS
set -euo pipefail

if [[ $# -ne 2 || ! $2 =~ ^[1-9][0-9]*$ ]]; then
  echo "usage: cut_regions.sh COHORT.vcf.gz RECORDS" >&2
  exit 2
fi

bcftools query -f '%CHROM\t%POS\n' "$1" | awk -v most="$2" '
  function close_region(end) { if (n) print chrom ":" start "-" end }
  $1 != chrom { close_region(""); chrom = $1; start = 1; n = 0 }
  n >= most && $2 > last { close_region(last); start = last + 1; n = 0 }
  { last = $2; n++ }
  END { close_region("") }
'
