"""Make a small simulated cohort of three contigs in a folder: cohort.vcf.gz, its index, cohort.popmap and chr2.bed.

One of the contigs has a name with colons, as HLA contigs do. Run: python workflows/make_test_cohort.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "test_data"))

from make_test_data import make

CONTIGS = {"HLA-A*01:01:01:01": (100_000, 120), "chr1": (2_000_000, 500), "chr2": (1_500_000, 280)}

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: make_test_cohort.py FOLDER")
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    make(folder, "cohort", CONTIGS)
    (folder / "chr2.bed").write_text(f"chr2\t0\t{CONTIGS['chr2'][0]}\n")
