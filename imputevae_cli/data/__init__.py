"""What every other part speaks of, in numpy alone: genotypes, likelihoods, hidden calls, frequencies, loci."""
