"""The compiled loss against torch's own operations."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, one_hot

from headcond.segmentation.classes import UNKNOWN
from headcond.segmentation.loss import segmentation_loss, target_of_cells
from headcond.segmentation.network import to_voxels
from headcond.segmentation.scores import FEWEST


@pytest.fixture
def case():
    torch.manual_seed(1)
    shape = (8, 10, 12)
    logits = (3 * torch.randn(1, 112, *shape)).bfloat16()
    logits = logits.contiguous(memory_format=torch.channels_last_3d)
    target = np.random.default_rng(0).integers(0, 14, [2 * side for side in shape], np.uint8)
    target[:4] = UNKNOWN
    target[target == 5] = 4
    target[4:5, 0, :9] = 5  # too few to count in the Dice score
    return logits, target


def slow(logits, target):
    voxels = to_voxels(logits)
    true = torch.from_numpy(target.astype(np.int64))[None]
    entropy = cross_entropy(voxels, true, ignore_index=UNKNOWN)
    keep = (true != UNKNOWN).reshape(-1)
    probability = voxels.softmax(1)[0].reshape(14, -1)[:, keep]
    hot = one_hot(true.reshape(-1)[keep], 14).T.float()
    score = (2 * (probability * hot).sum(1) + 1) / (probability.sum(1) + hot.sum(1) + 1)
    return entropy, 1 - score[hot.sum(1) >= FEWEST].mean()


def test_values_and_gradients(case):
    logits, target = case
    ours, theirs = logits.clone().requires_grad_(), logits.float().requires_grad_()
    got = segmentation_loss(ours, target_of_cells(target))
    wanted = slow(theirs, target)
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    for weights in ((1.0, 0.0), (0.0, 1.0), (1.0, 2.0)):
        ours.grad = theirs.grad = None
        got = segmentation_loss(ours, target_of_cells(target))
        wanted = slow(theirs, target)
        (weights[0] * got[0] + weights[1] * got[1]).backward()
        (weights[0] * wanted[0] + weights[1] * wanted[1]).backward()
        error = (ours.grad.float() - theirs.grad).norm() / theirs.grad.norm()
        assert error < 5e-3, weights  # bfloat16


def test_nothing_judged_is_no_loss(case):
    logits, target = case
    logits = logits.clone().requires_grad_()
    entropy, dice = segmentation_loss(logits, target_of_cells(np.full_like(target, UNKNOWN)))
    (entropy + dice).backward()
    assert entropy == 0 and dice == 0 and not logits.grad.any()


def test_targets_are_ordered_as_cells():
    target = np.arange(4 * 4 * 4, dtype=np.uint8).reshape(4, 4, 4)
    cells = torch.from_numpy(target_of_cells(target)).reshape(1, 2, 2, 2, 8)
    back = to_voxels(cells.permute(0, 4, 1, 2, 3).contiguous())[0, 0]
    np.testing.assert_array_equal(back.numpy(), target)
