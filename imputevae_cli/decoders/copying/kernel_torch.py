"""The recursions of `kernel` in torch, for GPUs and as the reference that the compiled kernel is tested against.

One window of all samples at once; the samples are the last axis of every tensor, and only the loop over loci is
sequential. Arguments and results are those of `kernel.sweep`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from imputevae_cli.decoders.copying.inbreeding import ONE_PATH
from imputevae_cli.decoders.copying.kernel_numerics import uniforms
from imputevae_cli.decoders.copying.sweep_block import SweepBlock

TINY = 1e-30


@dataclass(frozen=True)
class Window:
    """What the recursions read, on the device; T loci, K donors, B samples."""

    calls: torch.Tensor  # (T, B) int8, -1 where the path says nothing of the call
    one: torch.Tensor  # (T, B) bool, where one path is followed
    old: torch.Tensor  # (T, B) bool, the first haplotype's allele so far
    theta: torch.Tensor  # (T, K, B) float32, chance of ALT of the copy
    switch: torch.Tensor  # (T,) float32
    pi: torch.Tensor  # (K, B) float32
    draws: torch.Tensor  # (T, B) float32, uniform


def emission(theta: torch.Tensor, alt: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """(2, K, B): the chance of each haplotype's allele; theta (K, B), alt bool (2, B), known bool (B,)."""
    copied = torch.where(alt[:, None], theta, 1.0 - theta)  # (2, K, B)
    return torch.where(known, copied, torch.ones_like(copied))


def backward(window: Window, skip_hets: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """b (T, 2, K, B), and sums (T, 2, B): R, or at a heterozygous call the chance of ALT."""
    n_loci, n_donors, n = window.theta.shape
    b = torch.ones(n_loci, 2, n_donors, n, device=window.theta.device)
    sums = torch.ones(n_loci, 2, n, device=window.theta.device)
    for t in range(n_loci - 1, 0, -1):
        call, rho = window.calls[t], window.switch[t]
        het = call == 1
        first = (call == 2) | (het & window.old[t])
        alt = torch.stack([first, (call == 2) | (het & ~window.old[t])])  # (2, B)
        known = (call >= 0) & ~het if skip_hets else call >= 0
        e = emission(window.theta[t], alt, known) * b[t]  # (2, K, B)
        r = (window.pi * e).sum(1).clamp_min(TINY)  # (2, B)
        sums[t] = torch.where(het, torch.where(known & alt, r, 1.0 - r), r)
        if skip_hets:
            sums[t] = torch.where(het, torch.full_like(r, 0.5), sums[t])
        b[t - 1] = (1.0 - rho) * e / r[:, None] + rho
        parts = window.one[t - 1] & ~window.one[t]  # one path goes on as either of two
        b[t - 1, 0] = torch.where(parts, b[t - 1].mean(0), b[t - 1, 0])
        b[t - 1, 1] = torch.where(window.one[t - 1] | window.one[t], torch.ones_like(b[t - 1, 1]), b[t - 1, 1])
    return b, sums


def draw_phase(
    theta: torch.Tensor, m: torch.Tensor, b: torch.Tensor, u: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """As `kernel.draw_phase`: (allele of haplotype 0, whether the slots are exchanged), bool (B,) both.

    theta (K, B); m, b (2, K, B); u (B,).
    """
    total = torch.einsum("xkn,ykn->xyn", m, b)  # (2, 2, B)
    alt = torch.einsum("xkn,ykn,kn->xyn", m, b, theta)
    ref = total - alt
    weights = torch.stack([
        ref[0, 0] * alt[1, 1], alt[0, 0] * ref[1, 1], ref[0, 1] * alt[1, 0], alt[0, 1] * ref[1, 0],
    ])  # fmt: skip
    choice = (u * weights.sum(0) >= weights.cumsum(0)).sum(0).clamp_max(3)  # (B,)
    return choice % 2 == 1, choice >= 2


def joined_or_parted(
    window: Window, t: int, m: torch.Tensor, b: torch.Tensor, swap: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """(m, swap) where two paths become one before locus t, or one two; as `kernel.join` and `kernel.part`."""
    before = window.one[t - 1] if t else window.one[t]
    joins, parts = window.one[t] & ~before, ~window.one[t] & before
    first = torch.where(joins & swap, m[1], m[0])
    m = torch.stack([first, torch.where(parts, window.pi, m[1])])
    z = (m[0] * b[t]).sum(1)  # (2, B)
    drawn = window.draws[t] * z.sum(0) >= z[0]
    return m, torch.where(parts, drawn, swap & ~window.one[t])


def forward(
    window: Window, b: torch.Tensor, sums: torch.Tensor, middle: int, core_stop: int
) -> tuple[torch.Tensor, ...]:
    """Draw the phase and read the haplotypes: (chance of ALT (T, 2, B), jumps (T, 2, B), flips int (T, B), usage).

    usage: (2, K, B), how likely each haplotype copies each donor at locus `middle`, before its own call is read.
    Loci from `core_stop` on are not read.
    """
    n_loci, _, n = window.theta.shape
    alts = torch.zeros(n_loci, 2, n, device=window.theta.device)
    jumps = torch.zeros_like(alts)
    flips = torch.zeros(n_loci, n, dtype=torch.int64, device=window.theta.device)
    m = window.pi.expand(2, *window.pi.shape)  # (2, K, B)
    swap = torch.zeros(n, dtype=torch.bool, device=window.theta.device)
    flip = torch.zeros_like(swap)
    for t in range(core_stop):
        call, theta = window.calls[t], window.theta[t]
        het = call == 1
        m, swap = joined_or_parted(window, t, m, b, swap)
        if t == middle:
            usage = m * torch.where(swap, b[t].flip(0), b[t])
        allele, exchanged = draw_phase(theta, m, b[t], window.draws[t])
        swap = torch.where(het, exchanged, swap)
        flip = torch.where(het, allele ^ window.old[t], flip)
        facing = torch.where(swap, b[t].flip(0), b[t])  # (2, K, B), the slot that each haplotype goes on as
        alt = torch.stack([(call == 2) | (het & allele), (call == 2) | (het & ~allele)])
        alt[1] = torch.where(window.one[t], alt[0], alt[1])
        f = m * emission(theta, alt, call >= 0)
        z = (f * facing).sum(1).clamp_min(TINY)  # (2, B)
        expected = (f * facing * theta).sum(1) / z
        alts[t] = torch.where(call < 0, expected, alt.float())
        flips[t] = flip
        r = torch.where(swap, sums[t].flip(0), sums[t])
        r = torch.where(het & ~alt, 1.0 - r, r)
        jumps[t] = (window.switch[t] * r / z).clamp_max(1.0) if t else 0.0
        rho = window.switch[t + 1] if t + 1 < n_loci else torch.zeros(())
        m = (1.0 - rho) * f / f.sum(1, keepdim=True).clamp_min(TINY) + rho * window.pi
    return alts, jumps, flips, usage / usage.sum(1, keepdim=True).clamp_min(TINY)


def sweep(block: SweepBlock, device: torch.device | str) -> None:
    """`kernel.sweep` for all samples, whatever `block.samples`; arrays are changed in place."""
    ploidy = len(block.state) // len(block.calls)
    first, core_first, core_stop, _ = block.window.tolist()
    window = _window_of(block, ploidy, device)
    one = window.one.cpu().numpy()  # (T, B)
    b, sums = backward(window, block.first_pass)
    middle = (core_first + core_stop) // 2 - first
    alts, jumped, flipped, used = (x.cpu().numpy() for x in forward(window, b, sums, middle, core_stop - first))
    block.usage[:] = np.where(one[middle][:, None], used[0].T, used.sum(0).T)
    core = slice(core_first - first, core_stop - first)
    written = slice(core_first - block.origin, core_stop - block.origin)
    block.flips[:, 0] = flipped[core_first - first - 1] if core_first > first else 0
    block.flips[:, 1] = flipped[core_stop - first - 1]
    block.jumps[written] += (jumped[core, 0] + np.where(one[core], 0, jumped[core, 1])).sum(1)
    alts[:, 1] = np.where(one, alts[:, 0], alts[:, 1])
    for h in range(ploidy):
        block.out[h::ploidy, written] = np.floor(alts[core, h].T * 255 + 0.5)
    _add_doses(block, one[core].T, alts[core])


def _window_of(block: SweepBlock, ploidy: int, device: torch.device | str) -> Window:
    """What the recursions read of a block, on the device."""
    first, _, _, stop = block.window.tolist()
    shown = block.calls[:, first:stop].T.copy()  # (T, B)
    one = np.full(shown.shape, ploidy == 1)
    if len(block.by_descent):
        one = block.by_descent[:, first:stop].T >= ONE_PATH
    shown[one] = np.where(shown[one] == ploidy, 2, np.where(shown[one] == 0, 0, -1))
    theta = torch.from_numpy(block.panel[block.donors, first:stop]).to(device).permute(2, 1, 0)  # (T, K, B)
    return Window(
        torch.from_numpy(shown).to(device),
        torch.from_numpy(one).to(device),
        torch.from_numpy(block.state[::ploidy, first:stop].T >= 128).to(device),
        block.error + (1.0 - 2.0 * block.error) * theta.float() / 255.0,
        torch.from_numpy(block.switch[first:stop]).to(device),
        torch.from_numpy(_prior_of(block, ploidy).T.astype(np.float32)).to(device),
        torch.from_numpy(uniforms(block.keys, np.arange(stop - first))).to(device),
    )


def _prior_of(block: SweepBlock, ploidy: int) -> np.ndarray:
    """The copying prior over each sample's donors, float32 (B, K); see `kernel_numerics.fill_prior`."""
    donors, share = block.donors, block.global_share
    pi = np.ones(donors.shape, np.float32)
    others = slice(0, donors.shape[1] - (share > 0))
    if block.prior.size:
        pi[:, others] = np.maximum(np.take_along_axis(block.prior, donors[:, others] // ploidy, 1), 1e-8)
    if share > 0:
        pi[:, -1] = pi[:, others].sum(1) * (share / (1 - share))
    return pi / pi.sum(1, keepdims=True)


def _add_doses(block: SweepBlock, one: np.ndarray, alts: np.ndarray) -> None:
    """Add `unit` times the chances at the missing calls of a core to the block's doses.

    one bool (N, t), alts (t, 2, N).
    """
    if not len(block.doses):
        return
    core = slice(*block.window[1:3])
    for n, calls in enumerate(block.calls[:, core]):
        p0, p1 = alts[calls < 0, :, n].T
        f = 1.0 if not len(block.by_descent) else block.by_descent[n, core][calls < 0] / np.float32(255)
        het = np.where(one[n][calls < 0], (1 - f) * p0 * (1 - p0), p0 + p1 - 2 * p0 * p1)
        het = np.where(one[n][calls < 0], het, het / 2)
        mean = (p0 + p1) / 2
        units = np.floor(np.stack([1 - mean - het, mean - het], 1) * block.unit + 0.5).astype(np.uint16)
        block.doses[block.at[n] : block.at[n] + len(p0)] += units
