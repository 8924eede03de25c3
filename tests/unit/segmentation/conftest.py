"""A head of nested balls that takes no file to make."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from headcond.segmentation.anatomy import DIVIDED, Anatomy
from headcond.segmentation.classes import class_id
from headcond.segmentation.network import SegmentationNetwork

SHELLS = (
    ("skin", 40), ("fat", 38), ("muscle", 35), ("bone_cortical", 32), ("bone_cancellous", 30),
    ("dura", 27), ("csf", 26), ("gm", 23), ("wm", 17), ("ventricle", 6),
)  # fmt: skip


def balls(size: int = 96) -> np.ndarray:
    """Classes of nested balls around the centre of a cube."""
    axis = np.arange(size) - (size - 1) / 2
    radius = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    classes = np.zeros((size,) * 3, np.uint8)
    for name, outer in SHELLS:
        classes[radius < outer] = class_id(name)
    return classes


@pytest.fixture
def anatomy() -> Anatomy:
    return Anatomy("balls", balls(), np.full((1, 1, 1), DIVIDED, np.uint8), np.eye(4), True)


@pytest.fixture
def tiny() -> SegmentationNetwork:
    """A network of a few thousand weights."""
    torch.manual_seed(0)
    return SegmentationNetwork(stem=4, widths=(4, 6), head=4)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
