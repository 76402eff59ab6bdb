"""Metrics, their intervals, and baselines; nothing here knows of a model."""
