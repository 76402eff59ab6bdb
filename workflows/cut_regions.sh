#!/usr/bin/env bash
# Cut a file into shards of about so many records, each a list of regions for impute --regions-file: FOLDER/00001.txt ...
# Short chromosomes share a shard, long ones are cut; the shards in the order of their numbers are the file. A cut never
# parts records of one position.
#
# Usage: cut_regions.sh COHORT.vcf.gz RECORDS FOLDER
set -euo pipefail

if [[ $# -ne 3 || ! $2 =~ ^[1-9][0-9]*$ ]]; then
  echo "usage: cut_regions.sh COHORT.vcf.gz RECORDS FOLDER" >&2
  exit 2
fi
folder=${3%/}
rm -rf "$folder.part"
mkdir -p "$folder.part"

bcftools query -f '%CHROM\t%POS\n' "$1" | awk -v most="$2" -v folder="$folder.part" '
  function fail() { print "the file is not sorted at " $1 ":" $2 "; bcftools sort it" > "/dev/stderr"; failed = 1; exit 1 }
  function begin_shard() { if (file) close(file); file = sprintf("%s/%05d.txt", folder, ++shards); n = 0 }
  function end_region(end) { if (file) print chrom ":" start "-" end > file }
  $1 != chrom {
    if ($1 in seen) fail()
    end_region("")
    if (!file || n >= most) begin_shard()
    seen[$1]; chrom = $1; start = 1; last = 0
  }
  $2 < last { fail() }
  n >= most && $2 > last { end_region(last); start = last + 1; begin_shard() }
  { last = $2; n++ }
  END { if (!failed) end_region("") }
'
[[ ! -d $folder ]] || rmdir "$folder" # only an empty one is replaced
mv "$folder.part" "$folder"
