"""Labels in other programs' ids."""

import numpy as np

from headcond.segmentation.classes import TISSUE_OF_CLASS
from headcond.segmentation.schemes import to_closed_eit6, to_simnibs
from headcond.tissues import TISSUES, tissue_id, to_tissues


def test_simnibs_ids_mean_the_same_tissue():
    every = np.arange(1 + len(TISSUES))
    back = to_tissues(to_simnibs(every), "simnibs")
    merged = {"dura": "csf", "cerebellum": "gm", "mucous": "muscle"}
    wanted = [0] + [tissue_id(merged.get(name, name)) for name in TISSUES]
    np.testing.assert_array_equal(back, wanted)


def test_the_six_tissues_have_a_closed_skull(anatomy):
    labels = TISSUE_OF_CLASS[anatomy.classes]
    leaky = labels.copy()
    leaky[48, 48, 60:90] = tissue_id("csf")  # a hole through the skull
    closed = to_closed_eit6(leaky)
    inside, outside = closed >= 4, closed <= 1
    for axis in range(3):
        here = np.moveaxis(inside, axis, 0)
        there = np.moveaxis(outside, axis, 0)
        assert not (here[1:] & there[:-1]).any() and not (here[:-1] & there[1:]).any()
