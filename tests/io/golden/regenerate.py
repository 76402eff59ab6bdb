"""Write output.vcf again from input.vcf: `python tests/io/golden/regenerate.py`, from the repository's root."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent)]

if __name__ == "__main__":
    from vcf_maker import Filled

    from imputevae_cli.io.vcf_reader import read_vcf
    from imputevae_cli.io.vcf_writer import write_vcf

    imputed = Filled(read_vcf(HERE / "input.vcf"), silent=[3])
    write_vcf(HERE / "output.vcf", imputed, output_type="v", command="imputevae impute", version="1.2")
