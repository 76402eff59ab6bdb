"""Regression of dosages on those at linked loci and on ancestry, for polyploids."""
