"""Tables and pictures of a fitted model."""
