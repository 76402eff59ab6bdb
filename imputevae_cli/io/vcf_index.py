"""The index of a VCF.gz or BCF."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from imputevae_cli.io.bcftools import one_line
from imputevae_cli.io.outputs import INDEXES, atomic_output
from imputevae_cli.io.temporary import folder_beside
from imputevae_cli.log import logger


def make_index(file: Path, index: Path) -> str | None:
    """Make `index`, which ends in .tbi or .csi, of a file: why that cannot be, or None."""
    import pysam
    import pysam.bcftools
    from pysam.utils import SamtoolsError

    kind = "-c" if index.suffix == ".csi" else "-t"
    try:
        with _quiet_htslib():
            pysam.bcftools.index(kind, "-o", str(index), str(file), catch_stdout=False)
    except BaseException as error:
        index.unlink(missing_ok=True)
        if not isinstance(error, SamtoolsError):
            raise
        return one_line(error)
    return None


def index_again(path: str | Path, output_type: str) -> None:
    """Make the index that a file lacks because a run was killed before it was there; a note where none can be made."""
    target = Path(os.path.realpath(path))
    endings = {"z": INDEXES, "b": (".csi",)}.get(output_type, ())
    if not endings or any(target.with_name(target.name + ending).exists() for ending in endings):
        return
    with folder_beside(target) as folder:
        for ending in endings:
            index = folder / f"index{ending}"
            reason = make_index(target, index)
            if reason is None:
                with atomic_output(f"{target}{ending}") as temporary:
                    os.replace(index, temporary)
                return
    logger.info("%s: has no index, and none can be made (%s)", path, reason)


@contextlib.contextmanager
def _quiet_htslib() -> Iterator[None]:
    """Keep pysam's htslib from printing beside what it raises."""
    import pysam

    before = pysam.set_verbosity(0)
    try:
        yield
    finally:
        pysam.set_verbosity(before)
