"""Genotype frequencies of populations: the baseline, which takes no training."""
