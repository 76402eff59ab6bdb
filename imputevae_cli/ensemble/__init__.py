"""Which decoders are fitted, how much each is believed, and what they say together."""
