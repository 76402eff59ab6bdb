"""Records of loci that the input file lacks: text of their own, since there is none to splice into."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from imputevae_cli.data.alleles import doses, homozygotes
from imputevae_cli.data.genotypes import ImputedBlock
from imputevae_cli.io.kernel_cells import suffixes
from imputevae_cli.io.vcf_info import impute_info

FORMAT = b"GT:GP:DS:IMP"
_UNPHASED: tuple[bytes, ...] = (b"\t./.", b"\t0/0", b"\t0/1", b"\t1/1")
_PHASED = (b"\t./.", b"\t0|0", b"\t0|1", b"\t1|1", b"\t1|0")
_HAPLOID = (b"\t.", b"\t0", b"", b"\t1")


def added_records(
    heads: Sequence[bytes], block: ImputedBlock, dose_r2: np.ndarray, haploid: np.ndarray | None = None
) -> Iterator[bytes]:
    """The line of each biallelic locus of a block of diploids, without its newline.

    heads: CHROM to ALT of each, parted by tabs. dose_r2: float (b,), see `estimated_r2`. haploid: bool (N, b), cells
    that are haploid all the same, or None where none is.
    """
    cells = _cells(block)
    if haploid is not None:
        cells = np.where(haploid.T, _haploid_cells(block), cells)
    info = impute_info(block, haploid).tolist()
    n_imputed = block.imputed.sum(axis=0).tolist()
    for j, head in enumerate(heads):
        fields = b"NIMP=%d;DR2=%.3f" % (n_imputed[j], dose_r2[j])
        if n_imputed[j]:
            fields = b"INFO=%.3f;%b" % (info[j], fields)
        yield b"%b\t.\t.\t%b\t%b%b" % (head, fields, FORMAT, b"".join(cells[j].tolist()))


def _cells(block: ImputedBlock) -> np.ndarray:
    """The text of each cell with the tab before it, object (b, N). Most cells are alike, so each text is made once."""
    calls, gp = block.calls.T.astype(np.int64), block.gp.transpose(1, 0, 2).astype(np.int64)
    genotype, texts = calls + 1, _UNPHASED
    if block.alt_first is not None:
        genotype, texts = np.where((calls == 1) & block.alt_first.T, 4, genotype), _PHASED
    code = genotype
    for value, size in ((block.imputed.T, 2), (gp[..., 0], 1001), (gp[..., 1], 1001), (gp[..., 2] > 0, 2)):
        code = code * size + value
    _, first, inverse = np.unique(code, return_index=True, return_inverse=True)
    ends = _suffixes(gp.reshape(-1, 3)[first], block.imputed.T.reshape(-1)[first], is_haploid=False)
    starts = [texts[number] for number in genotype.reshape(-1)[first].tolist()]
    made = np.array([start + end for start, end in zip(starts, ends, strict=True)], object)
    return made[inverse.reshape(code.shape)]


def _haploid_cells(block: ImputedBlock) -> np.ndarray:
    """As `_cells`, with one allele in each."""
    gp, imputed = block.gp.transpose(1, 0, 2).reshape(-1, 3), block.imputed.T.reshape(-1)
    starts = [_HAPLOID[call + 1] for call in block.calls.T.reshape(-1).tolist()]
    ends = _suffixes(gp, imputed, is_haploid=True)
    return np.array([a + b for a, b in zip(starts, ends, strict=True)], object).reshape(block.calls.T.shape)


def _suffixes(gp: np.ndarray, imputed: np.ndarray, is_haploid: bool) -> list[bytes]:
    """`:GP:DS:IMP` of biallelic cells, (M, 3), all of them of one allele or none."""
    return suffixes(gp, imputed, doses(1), np.full(len(gp), is_haploid), homozygotes(1)).tolist()


def estimated_r2(doses: np.ndarray) -> np.ndarray:
    """The estimated squared correlation of imputed and true allele doses, float64 (b,); 0 where nothing varies.

    doses: (N, 2, b), expected ALT of each haplotype, NaN for one that is not there. With p the doses of n haplotypes,
    the variance of p over that of true alleles of the same frequency: (sum p^2 - (sum p)^2 / n) / (sum p - (sum p)^2 /
    n). (The DR2 of Beagle 5, `ImputedRecBuilder.r2`; Browning & Browning 2009, and the r2-hat of Minimac, Das et al.
    2016.)
    """
    p = doses.reshape(-1, doses.shape[-1]).astype(np.float64)
    n = (~np.isnan(p)).sum(axis=0)
    p = np.nan_to_num(p)
    total = p.sum(axis=0)
    mean = total * total / np.maximum(n, 1)
    spread, most = (p * p).sum(axis=0) - mean, total - mean
    varies = np.minimum(total, n - total) >= 1e-3
    return np.where(varies, np.clip(spread, 0, None) / np.where(varies, most, 1), 0.0)
