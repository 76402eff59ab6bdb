"""The models that give genotype probabilities, a folder each, behind the interface of `base`."""
