"""Which decoders fill the calls, as a user reads it in the summary, an evaluation and the report of a run."""

from __future__ import annotations

from imputevae_cli.decoders import registry
from imputevae_cli.imputer import ImputeVAE


def model_in_words(model: ImputeVAE) -> str:
    """Which decoders fill the calls, and in a word why the others do not; `-v` gives the figures."""
    shares = sorted(model.part_shares.items(), key=lambda item: -item[1])
    used = ", ".join(_word(name) + (f" {share:.0%}" if len(shares) > 1 else "") for name, share in shares)
    if model.config.model.decoder != "auto":
        return f"{used}, as model.decoder={model.config.model.decoder} asks for"
    idle = [_word(name) for name in model.parts_left_out if name != "frequencies"]
    unjudged = [_word(name) for name in model.parts_screened_out]
    reasons = []
    if idle:
        reasons.append(f"{_listed(idle)} added nothing on held-out calls")
    if unjudged:
        reasons.append(f"{_listed(unjudged)} left out after a short run on part of the data")
    return f"{used} ({'; '.join(reasons)})" if reasons else used


def _word(name: str) -> str:
    """What a decoder is called when one speaks to a user."""
    return registry.get(name).title


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
