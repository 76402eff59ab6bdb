"""The variational autoencoder: population structure in a latent vector for each sample."""
