"""Settings of the founder decoder."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from imputevae_cli.schema import Count, NonNegative, Positive, Section


class FoundersSettings(Section):
    """The founder decoder; null leaves a setting to rules and to a trial on hidden evidence.

    founders: ancestral haplotypes. starts: fits from different beginnings, whose probabilities are averaged.
    iterations: of each. theta_prior: how many copies the locus's frequency counts for in a founder's allele.
    own_prior: how many switches the cohort's shares of the founders count for in a sample's own. inbred: the
    inbreeding coefficient above which a diploid sample follows one path, in cohorts that are inbred by and large;
    above 1 none does. held: share of the evidence that is hidden to calibrate on. parents: names of samples, or
    of populations for all of their samples, that the founders begin like, one each.
    """

    founders: Count | None = None
    starts: Count | None = None
    iterations: Count | None = None
    theta_prior: Positive = 0.05
    own_prior: Positive = 20.0
    inbred: NonNegative = 0.9
    held: Annotated[float, Meta(ge=0.0, lt=0.5)] = 0.02
    parents: list[str] = []  # noqa: RUF012
