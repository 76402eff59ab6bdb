"""The kinds of output, a module each behind `base.Writer`."""
