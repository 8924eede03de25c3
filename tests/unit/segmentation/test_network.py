"""Cells and voxels are two views of one volume; the network keeps shapes."""

import pytest
import torch

from headcond.checks import InputError
from headcond.segmentation.network import Block, SegmentationNetwork, to_cells, to_voxels


def test_cells_and_voxels_are_inverse():
    volume = torch.arange(2 * 3 * 4 * 6 * 8.0).reshape(2, 3, 4, 6, 8)
    cells = to_cells(volume)
    assert cells.shape == (2, 24, 2, 3, 4)
    assert torch.equal(to_voxels(cells), volume)
    # channel 3 (4 i + 2 j + k) + c of a cell
    assert cells[1, 3 * (4 * 1 + 2 * 0 + 1) + 2, 1, 2, 3] == volume[1, 2, 3, 4, 7]


def test_logits_have_the_shape_of_the_scans(tiny):
    assert tiny.multiple == 8
    logits = tiny(torch.rand(1, 2, 16, 24, 8))
    assert logits.shape == (1, 14, 16, 24, 8)
    _, auxiliary = tiny.cells(to_cells(torch.rand(1, 2, 16, 24, 8)))
    assert auxiliary.shape == (1, 14, 4, 6, 2)


def test_a_batch_is_as_good_as_one_by_one(tiny):
    scans = torch.rand(2, 2, 16, 16, 16)
    both = tiny(scans)
    for number in range(2):
        torch.testing.assert_close(
            both[number : number + 1], tiny(scans[number : number + 1]), atol=1e-4, rtol=1e-3
        )


def test_a_block_normalises_each_volume():
    block = Block(3, 5)
    out = torch.nn.functional.leaky_relu(torch.randn(1), 0.01)
    out = block(torch.rand(1, 3, 8, 8, 8))
    before = torch.where(out < 0, out / 0.01, out)
    torch.testing.assert_close(before.mean((2, 3, 4)), torch.zeros(1, 5), atol=1e-4, rtol=0)


def test_the_shipped_architecture_is_small_enough():
    weights = sum(p.numel() for p in SegmentationNetwork().parameters())
    assert 2 * weights < 12e6


def test_shapes_that_do_not_fit_are_refused(tiny):
    with pytest.raises(InputError, match="multiples of 8"):
        tiny(torch.rand(1, 2, 16, 20, 16))
