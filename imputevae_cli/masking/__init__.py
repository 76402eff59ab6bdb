"""Which known calls are hidden, to fit and to score by."""
