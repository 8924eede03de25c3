"""Scores by hand."""

import numpy as np
import pytest

from headcond.checks import InputError
from headcond.segmentation.classes import UNKNOWN
from headcond.segmentation.scores import calibration_error, dice_scores, hausdorff95
from headcond.tissues import tissue_id

BONE, GREY = tissue_id("bone_cortical"), tissue_id("gm")


def test_dice_of_two_overlapping_blocks():
    target = np.zeros((20, 10, 10), np.uint8)
    target[:10] = GREY
    labels = np.roll(target, 5, axis=0)
    assert dice_scores(labels, target) == {"gm": 0.5}
    target[5:10] = UNKNOWN  # what is left of it was missed
    assert dice_scores(labels, target) == {"gm": 0.0}


def test_hausdorff_of_shifted_blocks():
    target = np.zeros((40, 20, 20), np.uint8)
    target[5:15, 5:15, 5:15] = BONE
    labels = np.roll(target, 3, axis=0)
    assert hausdorff95(labels, target, 0.5)["bone_cortical"] == pytest.approx(1.5)
    assert hausdorff95(target, target, 0.5)["bone_cortical"] == 0
    assert hausdorff95(np.zeros_like(target), target, 1.0)["bone_cortical"] == np.inf


def test_calibration_of_a_known_gap():
    target = np.full((10, 10, 10), GREY, np.uint8)
    target[:5] = 0  # air does not count
    probabilities = np.zeros((14, 10, 10, 10))
    probabilities[GREY], probabilities[BONE] = 0.7, 0.3
    assert calibration_error(probabilities, target) == pytest.approx(0.3)
    target[5:8] = UNKNOWN
    assert calibration_error(probabilities, target) == pytest.approx(0.3)
    with pytest.raises(InputError, match="no tissue"):
        calibration_error(probabilities, np.zeros_like(target))
