"""Scoring a model, or a file that any tool imputed, on known calls that were hidden, beside baselines."""
