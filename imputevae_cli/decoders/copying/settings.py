"""Settings of the haplotype copying decoder."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from imputevae_cli.schema import Count, CountOrZero, OpenShare, Section


class CopyingSettings(Section):
    """The haplotype copying decoder; null leaves a setting to rules and to trials on held-out calls.

    iterations, burn_in: of each chain; probabilities are averaged over the iterations after burn_in. chains: runs
    from different phases. donors: haplotypes that a sample copies from in a window. core: loci of a window. halo:
    loci read on either side of a window. error: the chance that a copied allele differs. trial: whether held-out
    calls choose what rules cannot; not where calls are uncertain. global_share: the copying prior of one more
    state, what the VAE expects of the sample itself; 0 leaves it out, null lets held-out calls choose. It takes a
    VAE that is fitted in full: in `auto` it joins where there is one.
    """

    iterations: Count | None = None
    burn_in: CountOrZero | None = None
    chains: Count | None = None
    donors: Count | None = None
    core: Count | None = None
    halo: CountOrZero | None = None
    error: OpenShare | None = None
    trial: bool = True
    global_share: Annotated[float, Meta(ge=0.0, le=0.9)] | None = 0.0
