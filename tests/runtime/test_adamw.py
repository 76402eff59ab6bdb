"""AdamW gives torch's own numbers, and goes on from its state."""

import pytest
import torch

from imputevae_cli.runtime.adamw import AdamW


def parameters() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return [torch.randn(shape, generator=generator).requires_grad_(True) for shape in ((3, 2), (4,))]


def step(optimizer, tensors, number: int) -> None:
    optimizer.zero_grad()
    sum((p - number).square().sum() * (1 + i) for i, p in enumerate(tensors)).backward()
    optimizer.step()


def test_steps_are_those_of_torch():
    ours, theirs = parameters(), parameters()
    mine = AdamW([(ours[:1], 0.1), (ours[1:], 0.0)], 0.05)
    groups = [{"params": theirs[:1], "weight_decay": 0.1}, {"params": theirs[1:], "weight_decay": 0.0}]
    reference = torch.optim.AdamW(groups, lr=0.05, foreach=False)
    for number in range(5):
        step(mine, ours, number)
        step(reference, theirs, number)
    assert all(torch.allclose(a, b, rtol=1e-5) for a, b in zip(ours, theirs, strict=True))


def test_goes_on_from_its_state():
    whole, halves = parameters(), parameters()
    one = AdamW([(whole, 0.01)], 0.05)
    for number in range(6):
        step(one, whole, number)
    first = AdamW([(halves, 0.01)], 0.05)
    for number in range(3):
        step(first, halves, number)
    second = AdamW([(halves, 0.01)], 0.5)
    second.load_state_dict(first.state_dict())
    for number in range(3, 6):
        step(second, halves, number)
    assert all(torch.equal(a, b) for a, b in zip(whole, halves, strict=True))


def test_a_parameter_without_a_gradient_stays():
    used, idle = parameters()
    before = idle.detach().clone()
    optimizer = AdamW([([used, idle], 0.1)], 0.05)
    used.sum().backward()
    optimizer.step()
    assert torch.equal(idle, before)


def test_state_of_other_parameters_is_refused():
    tensors = parameters()
    optimizer = AdamW([(tensors, 0.0)], 0.05)
    step(optimizer, tensors, 1)
    with pytest.raises(ValueError, match="not of these parameters"):
        AdamW([(tensors[1:], 0.0)], 0.05).load_state_dict(optimizer.state_dict())
