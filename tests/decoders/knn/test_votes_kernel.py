"""The compiled votes against the formula of attention.py in plain torch, and their gradients against autograd's."""

import numpy as np
import pytest
import torch

from imputevae_cli.decoders.knn.attention import FAR, Ballot, Context, NeighbourVotes, VotesShape
from imputevae_cli.decoders.knn.genotypes import one_hot
from imputevae_cli.decoders.knn.kernel import NOBODY
from imputevae_cli.decoders.knn.kernel_layout import Samples

N_LOCI, N_QUERIES, N_NEIGHBOURS, WIDTH = 9, 5, 53, 6  # more with a call than a compiled loop takes at once


def a_model(heads=3, n_similarities=2):
    model = NeighbourVotes(VotesShape(3, n_similarities, 4, 4), heads, 8, torch.Generator().manual_seed(0))
    with torch.no_grad():
        model.tables += torch.randn(model.tables.shape, generator=torch.Generator().manual_seed(1))
    return model


def some_samples(rng, soft=False, n_pairs=3):
    """Samples of which the queries are the first neighbours, but for the last query, which is new."""
    votes = rng.integers(-1, 3, (N_LOCI, N_NEIGHBOURS)).astype(np.int8)
    shown = votes[:, :N_QUERIES].copy()
    shares = rng.dirichlet(np.ones(3), (N_LOCI, N_NEIGHBOURS)).transpose(0, 2, 1)
    whole = np.rint(255 * shares).astype(np.uint8)
    none = np.empty((0, 3, 0), np.uint8)
    own = np.r_[np.arange(N_QUERIES - 1), -1]
    pairs = rng.normal(size=(N_QUERIES, n_pairs, N_NEIGHBOURS)).astype(np.float32)
    kinds = (whole[..., :N_QUERIES].copy(), whole) if soft else (none, none)
    return Samples(shown, votes, *kinds, pairs, own)


def a_ballot(rng, samples, n_cells=12):
    loci = torch.tensor([1, 4, 7])
    around = torch.from_numpy(rng.integers(0, N_LOCI, (3, WIDTH)))
    distance = torch.tensor([[1.0, 2.0, FAR]] * 3)
    log_r2 = torch.tensor([[-0.9, -0.4, -FAR]] * 3)
    rows = torch.from_numpy(np.sort(rng.integers(0, 3, n_cells)))
    asked = torch.from_numpy(rng.integers(0, N_QUERIES, n_cells))
    return Ballot(samples, loci, Context(around, distance, log_r2), rows, asked)


def tables_of(calls, soft):
    known = one_hot(torch.from_numpy(calls), 3, 1)  # (L, C, n)
    return known if not len(soft) else torch.from_numpy(soft) / 255 * known.sum(1, keepdim=True)


def votes_by_formula(model, ballot):
    """As `NeighbourVotes.poll`."""
    samples = ballot.samples
    queries, neighbours = tables_of(samples.shown, samples.shown_soft), tables_of(samples.votes, samples.votes_soft)
    tables = (model.tables + model.tables.transpose(1, 2)) / 2
    omega = model.context_weights(ballot.context.distance, ballot.context.log_r2)[ballot.rows]  # (M, W, H)
    around = ballot.context.around[ballot.rows]
    q = queries[around, :, ballot.asked[:, None]]  # (M, W, C)
    scores = torch.einsum("mwh,hgc,mwg,mwcn->mhn", omega, tables, q, neighbours[around])
    of_pairs = model.similarity
    if samples.pairs.shape[1] == 3:
        of_pairs = torch.cat([of_pairs, model.population[:, None]], 1)
    scores = scores + torch.einsum("hs,msn->mhn", of_pairs, torch.from_numpy(samples.pairs)[ballot.asked])
    locus = ballot.loci[ballot.rows]
    others = torch.from_numpy(samples.own)[ballot.asked][:, None] != torch.arange(N_NEIGHBOURS)
    may_vote = (torch.from_numpy(samples.votes)[locus] >= 0) & others
    weights = torch.softmax(scores.masked_fill(~may_vote[:, None], -1e9), -1)
    anyone = may_vote.any(1)[:, None]
    votes = torch.einsum("mhn,mcn->mhc", weights, neighbours[locus]) * anyone[..., None]
    effective = torch.where(anyone, 1 / weights.square().sum(-1), NOBODY)
    return votes, effective


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("heads", [1, 2, 3])
@pytest.mark.parametrize("n_pairs", [2, 3])  # without and with a popmap
def test_votes_and_gradients_are_those_of_the_formula(soft, heads, n_pairs):
    rng = np.random.default_rng(heads)
    model = a_model(heads)
    ballot = a_ballot(rng, some_samples(rng, soft, n_pairs))
    found = []
    for poll in (model.poll, lambda ballot: votes_by_formula(model, ballot)):
        model.zero_grad()
        votes, effective = poll(ballot)
        (votes.square().sum() + (votes[..., 1] * effective.log()).sum()).backward()
        gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
        found.append((votes.detach(), effective.detach(), gradients))
    for ours, expected in zip(found[0][:2], found[1][:2], strict=True):
        assert torch.allclose(ours, expected, rtol=1e-4, atol=1e-5)
    assert found[0][2].keys() == found[1][2].keys()
    for name, expected in found[1][2].items():
        assert torch.allclose(found[0][2][name], expected, rtol=1e-3, atol=1e-5), name


def test_where_nobody_may_vote_there_is_no_vote_and_no_gradient():
    rng = np.random.default_rng(0)
    samples = some_samples(rng)
    samples.votes[4] = -1  # nobody has a call
    samples.votes[7] = -1
    samples.votes[7, 0] = 2  # only the query itself has one
    ballot = a_ballot(rng, samples)
    ballot = Ballot(samples, ballot.loci, ballot.context, torch.tensor([1, 2, 2]), torch.tensor([0, 0, 1]))
    model = a_model()
    votes, effective = model.poll(ballot)
    assert (votes[:2] == 0).all()
    assert effective[:2].detach().numpy() == pytest.approx(NOBODY)
    assert votes[2].detach().tolist() == [[0.0, 0.0, 1.0]] * 3
    (votes[:2].sum() + effective[:2].sum()).backward()
    assert (model.tables.grad == 0).all()
