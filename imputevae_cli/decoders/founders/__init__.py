"""Founder haplotypes: each sample as a mosaic of a few ancestral ones, which are learned from likelihoods."""
