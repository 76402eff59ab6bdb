"""Haplotype copying: each sample as a mosaic of the other samples' haplotypes (Li and Stephens)."""
