"""`imputevae_cli.evaluate`: how well missing calls of some genotypes are filled, in one call."""

from __future__ import annotations

from typing import Any

from imputevae_cli.config import Config
from imputevae_cli.data.genotypes import GenotypeMatrix
from imputevae_cli.evaluation import evaluate as scoring
from imputevae_cli.imputer import ImputeVAE
from imputevae_cli.log import ProgressOption, chosen_progress


def evaluate(
    genotypes: GenotypeMatrix | Any,
    config: Config | None = None,
    *,
    model: ImputeVAE | None = None,
    strategy: str = "observed",
    prop: float = 0.1,
    repeats: int = 1,
    progress: ProgressOption = None,
) -> scoring.Evaluation:
    """Hide known calls, fill them, and score the model beside the baselines; `.figures` has a row for each method.

    genotypes: or what `GenotypeMatrix.from_array`, `from_dataframe` or `from_sgkit` takes. model: a fitted one; else
    one is fitted to what is left visible, under `config`. strategy: which calls are hidden, as `imputevae evaluate
    --strategy` takes it. prop: their share of the known calls. repeats: masks, drawn by the seed of the settings.
    Raises ConfigError and InputError as `ImputeVAE.fit` does.
    """
    genotypes = GenotypeMatrix.of(genotypes)
    genotypes.check()
    config = config or (Config() if model is None else model.config)
    seed = config.io.seed
    bars = chosen_progress(progress)
    rounds = scoring.draw_rounds(genotypes, strategy, prop, repeats, seed)

    def model_for(visible: GenotypeMatrix) -> ImputeVAE:
        return model or ImputeVAE(config).fit(visible, progress=bars)

    guessed, _ = scoring.guess_with_model(genotypes, rounds, model_for, bars)
    return scoring.evaluate(genotypes, rounds, guessed.guesses, seed, bars)
