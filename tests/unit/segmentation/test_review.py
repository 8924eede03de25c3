"""Remarks on results that look wrong."""

import numpy as np
import pytest

from headcond.segmentation.review import mean_confidence, remarks, volumes
from headcond.tissues import tissue_id


def head(brain=100, skull=60, sure=0.95):
    """Probabilities of a block of slabs, (14, 10, 100, 200) at 2 mm: 8 mL for each 1000 voxels."""
    labels = np.zeros((10, 100, 200), np.uint8)
    labels[:, :, :brain] = tissue_id("gm")
    labels[:, :, brain : brain + skull] = tissue_id("bone_cortical")
    out = np.full((14, *labels.shape), (1 - sure) / 13)
    np.put_along_axis(out, labels[None], sure, axis=0)
    return out


def test_volumes_are_sums_of_probabilities():
    millilitres = volumes(head(sure=1.0), 2.0)
    assert millilitres["gm"] == pytest.approx(800)
    assert millilitres["bone_cortical"] == pytest.approx(480)
    assert millilitres["csf"] == 0


def test_nothing_stands_out():
    assert remarks(head(), 2.0) == []


@pytest.mark.parametrize(
    ("case", "word"),
    [
        ({"brain": 20}, "mL"),
        ({"skull": 5}, "skull-stripped"),
        ({"sure": 0.5}, "unsure"),
    ],
)
def test_each_remark(case, word):
    found = remarks(head(**case), 2.0)
    assert any(word in text for text in found)


def test_confidence_leaves_air_out():
    assert mean_confidence(head(sure=0.8)) == pytest.approx(0.8)
    assert mean_confidence(np.eye(14)[0].reshape(14, 1, 1, 1)) == 0
