"""What the summary says of the model, in words."""

from types import SimpleNamespace

import pytest

from imputevae_cli.report.model_in_words import model_in_words

IDLE = "adds 0.0000 nats a call, 0.0001 at most"


def model(shares, dropped=(), decoder="auto"):
    unjudged = tuple(name for name in ("vae", "knn", "copying") if name not in (*shares, *dropped))
    settings = SimpleNamespace(model=SimpleNamespace(decoder=decoder))
    return SimpleNamespace(
        part_shares=shares, parts_left_out=dict.fromkeys(dropped, IDLE), parts_screened_out=unjudged, config=settings
    )


@pytest.mark.parametrize(
    ("fitted", "words"),
    [
        (
            model({"knn": 1.0}, ["frequencies", "vae", "copying"]),
            "nearest neighbours (the VAE and haplotype copying added nothing on held-out calls)",
        ),
        (
            model({"vae": 0.2, "knn": 0.8}, ["copying"]),
            "nearest neighbours 80%, the VAE 20% (haplotype copying added nothing on held-out calls)",
        ),
        (
            model({"copying": 1.0}, ["frequencies"]),
            "haplotype copying (the VAE and nearest neighbours left out after a short run on part of the data)",
        ),
        (model({"vae": 1.0}, decoder="vae"), "the VAE, as model.decoder=vae asks for"),
        (
            model({"founders": 0.6, "vae": 0.2, "knn": 0.1, "copying": 0.1}),
            "founder haplotypes 60%, the VAE 20%, nearest neighbours 10%, haplotype copying 10%",
        ),
    ],
)
def test_the_model_in_words(fitted, words):
    said = model_in_words(fitted)
    assert said == words
    assert "nats" not in said
