"""Any scan of any person to tissues: one pretrained network, and how it was trained.

The way of a scan, in steps:

>>> from headcond import segmentation
>>> head = segmentation.segment("t1.nii.gz")  # doctest: +SKIP
>>> head.labels  # thirteen tissues on the grid of the scan  # doctest: +SKIP
>>> head.conductivity("B")  # S/m, Table B of the CondNet paper  # doctest: +SKIP

The way of the weights: `read_anatomy` turns a label map into an anatomy, `draw` images it as some
scanner might, `train` teaches a network on such images, `save_weights` packs its running average.
"""

from headcond.segmentation.anatomy import Anatomy, read_anatomy
from headcond.segmentation.conductivity import conductivity_interval, conductivity_of
from headcond.segmentation.network import SegmentationNetwork
from headcond.segmentation.prediction import predict
from headcond.segmentation.scan import Segmentation, segment
from headcond.segmentation.synthesis import Example, draw
from headcond.segmentation.training import Schedule, train
from headcond.segmentation.weights import load_weights, read_card, save_weights

__all__ = [
    "Anatomy",
    "Example",
    "Schedule",
    "Segmentation",
    "SegmentationNetwork",
    "conductivity_interval",
    "conductivity_of",
    "draw",
    "load_weights",
    "predict",
    "read_anatomy",
    "read_card",
    "save_weights",
    "segment",
    "train",
]
