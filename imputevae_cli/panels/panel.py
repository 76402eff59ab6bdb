"""A reference panel from Python: packed once, and then imputed from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from imputevae_cli import __version__
from imputevae_cli.config import Config
from imputevae_cli.data.genetic_map import GeneticMap
from imputevae_cli.data.genotypes import GenotypeMatrix
from imputevae_cli.errors import InputError
from imputevae_cli.imputed import check_call
from imputevae_cli.io.outputs import check_output
from imputevae_cli.io.vcf_haplotypes import HaplotypeFile
from imputevae_cli.io.vcf_reader import read_vcf
from imputevae_cli.log import ProgressOption, chosen_progress, logger
from imputevae_cli.panels.filled_loci import Calling
from imputevae_cli.panels.imputation import How, PanelImputation
from imputevae_cli.panels.imputed_from_panel import ImputedFromPanel
from imputevae_cli.panels.match import match_panel
from imputevae_cli.panels.pack import Packing, pack_panel
from imputevae_cli.panels.store import PanelStore


class Panel:
    """Samples that are known at many loci, from which others are filled: a packed panel on disk, opened.

    >>> panel = Panel.pack("panel.vcf.gz", "panel.ivae")  # doctest: +SKIP
    >>> panel.impute("chip.vcf.gz").write("dense.vcf.gz")  # doctest: +SKIP
    """

    def __init__(self, store: PanelStore):
        self.store = store

    @classmethod
    def load(cls, path: str | Path) -> Panel:
        """Open a packed panel; its index alone is read. Raises CheckpointError where it is none, or is damaged."""
        return cls(PanelStore(path))

    @classmethod
    def pack(
        cls,
        source: str | Path,
        path: str | Path,
        *,
        samples: Sequence[str] | None = None,
        region: Sequence[str] | None = None,
        config: Config | None = None,
        threads: int = 1,
        force: bool = False,
        progress: ProgressOption = None,
    ) -> Panel:
        """Pack a VCF, VCF.gz or BCF, phased or not, into `path`, and open it. A phase that is missing is found here.

        samples, region: those to take; all by default. Raises InputError where the file cannot be a panel, OutputError
        where `path` cannot be written, or exists without `force`.
        """
        check_output(path, inputs=[source], force=force)
        file = HaplotypeFile.open(source, samples=samples, region=region)
        config = config or Config()
        made = {"software_version": __version__, "command": ""}
        with ThreadPoolExecutor(threads) as pool:
            packing = Packing(config.panels, config.io.seed, pool, made, chosen_progress(progress))
            pack_panel(file, path, packing)
        return cls.load(path)

    @property
    def samples(self) -> tuple[str, ...]:
        """Names of the panel's samples."""
        return self.store.samples

    @property
    def n_loci(self) -> int:
        """Number of loci, of all chromosomes."""
        return self.store.n_loci

    def __repr__(self) -> str:
        chroms = len(self.store.chroms)
        return f"<Panel: {len(self.samples):,} samples x {self.n_loci:,} loci, chromosomes: {chroms:,}>"

    def impute(
        self,
        targets: str | Path | GenotypeMatrix | Any,
        *,
        config: Config | None = None,
        genetic_map: str | Path | None = None,
        only_panel_loci: bool = False,
        threads: int | None = None,
        **calling: Any,
    ) -> ImputedFromPanel:
        """Other samples, filled at every locus of the panel: when they are written, or asked for as arrays.

        targets: the file of these samples, or what `ImputeVAE.transform` takes. genetic_map: in PLINK's format.
        only_panel_loci: leave out loci that the targets alone have. threads: all of the machine by default; the numbers
        are the same. calling: `min_gp`, `phased`, `refine` and `call`, as `ImputeVAE.transform` takes them. Raises
        InputError and CheckpointError where the targets do not fit the panel.
        """
        config, how_called = config or Config(), Calling(**calling)
        check_call(how_called.call)
        if isinstance(targets, str | Path):
            targets = read_vcf(targets, likelihoods=config.io.likelihoods, to_fit=False)
        genotypes = usable_targets(GenotypeMatrix.of(targets))
        match = match_panel(genotypes, self.store)
        for line in match.warnings(genotypes.loci):
            logger.warning("%s", line)
        distances = None if genetic_map is None else GeneticMap.read(genetic_map)
        pool = ThreadPoolExecutor(threads or os.cpu_count() or 1)
        how = How(config.panels, config.io.seed, pool, distances)
        return ImputedFromPanel(
            PanelImputation(self.store, genotypes, match, how), genotypes, how_called, only_panel_loci
        )


def usable_targets(targets: GenotypeMatrix) -> GenotypeMatrix:
    """Samples to fill from a panel, haploid ones as a diploid matrix. Raises InputError where they cannot be."""
    if targets.ploidy > 2:
        raise InputError(
            f"{targets.name}: its samples are of ploidy {targets.ploidy}, and a panel fills diploids and haploids "
            "alone; fill them without a panel"
        )
    codes, pos = targets.loci.chrom_codes, targets.loci.pos
    falls = (codes[1:] == codes[:-1]) & (pos[1:] < pos[:-1])
    if falls.any() or len(set(targets.loci.chrom)) < codes[-1] + 1:
        raise InputError(
            f"{targets.name}: is not sorted, and loci are to be put in between; sort it with `bcftools sort`"
        )
    return targets.as_diploid() if targets.ploidy == 1 else targets
