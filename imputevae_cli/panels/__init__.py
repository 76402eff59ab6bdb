"""Reference panels: packing them, matching them with a file, and filling its samples from them."""
