"""Settings of filling loci from a reference panel."""

from __future__ import annotations

from imputevae_cli.schema import Count, CountOrZero, OpenShare, Positive, Section


class PanelSettings(Section):
    """Filling loci of a reference panel that a file lacks; null leaves a setting to what the panel says of itself.

    iterations, burn_in: of the phasing of a window's samples at the loci that their file has. donors: haplotypes that a
    sample is phased with in a window. uncertain_iterations, uncertain_burn_in, uncertain_donors: the same where calls
    are uncertain. phasings: of those after burn-in, so many are filled and averaged. states: haplotypes that a sample
    is filled from; of a larger panel, the most similar. switch_rate: changes from one panel haplotype to another per
    base pair, or per cM where a map is given. error: the chance that a copied allele differs.
    """

    iterations: Count = 40
    burn_in: CountOrZero = 16
    donors: Count = 128
    uncertain_iterations: Count = 25
    uncertain_burn_in: CountOrZero = 9
    uncertain_donors: Count = 256
    phasings: Count = 8
    states: Count = 1000
    switch_rate: Positive | None = None
    error: OpenShare | None = None
