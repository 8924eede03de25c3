"""Muon's direction is orthogonal, and the rest is AdamW."""

import pytest
import torch

from headcond.segmentation.optimiser import MuonAdamW, orthogonal


@pytest.mark.parametrize("shape", [(8, 40), (40, 8), (16, 16)])
def test_singular_values_come_near_one(shape):
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonal(torch.randn(shape)))
    assert values.min() > 0.4 and values.max() < 1.3


def test_first_and_last_layers_follow_adamw(tiny):
    optimiser = MuonAdamW(tiny, 1e-2)
    muon, adamw = (group["params"] for group in optimiser.param_groups)
    names = {id(p): name for name, p in tiny.named_parameters()}
    assert {names[id(p)].split(".")[0] for p in muon} == {
        "down", "encoder", "decoder", "up", "up_last", "head"
    }  # fmt: skip
    assert len(muon) + len(adamw) == len(names)


def test_its_adamw_is_torchs(tiny):
    import copy

    twin = copy.deepcopy(tiny)
    ours = MuonAdamW(tiny, 1e-2)
    chosen = [id(p) for p in ours.param_groups[1]["params"]]
    pairs = [
        (a, b) for a, b in zip(tiny.parameters(), twin.parameters(), strict=True)
        if id(a) in chosen
    ]  # fmt: skip
    many, few = [b for _, b in pairs if b.ndim > 1], [b for _, b in pairs if b.ndim == 1]
    theirs = torch.optim.AdamW(
        [{"params": many}, {"params": few, "weight_decay": 0.0}],
        lr=1e-2, betas=(0.9, 0.99), weight_decay=0.01,
    )  # fmt: skip
    for step in range(3):
        torch.manual_seed(step)
        for a, b in pairs:
            a.grad = torch.randn_like(a)
            b.grad = a.grad.clone()
        ours.step()
        theirs.step()
    for a, b in pairs:
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
