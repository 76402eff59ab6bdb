"""Nearest neighbours: a missing call is filled by the votes of the samples most alike, by learned weights."""
