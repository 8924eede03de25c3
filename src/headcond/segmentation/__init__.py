"""Any scan of any person to tissues: one pretrained network, and how it was trained.

The way of a scan, in steps:

>>> from headcond.segmentation import segment
>>> head = segment("t1.nii.gz")  # doctest: +SKIP
>>> head.labels  # thirteen tissues on the grid of the scan  # doctest: +SKIP
>>> head.conductivity("B")  # S/m, Table B of the CondNet paper  # doctest: +SKIP

The way of the weights, each step a module of its own, so that a prediction needs none of them:
`anatomy.read_anatomy` turns a label map into an anatomy, `synthesis.draw` images it as some
scanner might, `training.train` teaches a network on such images, `weights.save_weights` packs the
running average of its weights.
"""

from headcond.segmentation.conductivity import conductivity_interval, conductivity_of
from headcond.segmentation.network import SegmentationNetwork
from headcond.segmentation.prediction import predict
from headcond.segmentation.scan import Segmentation, segment
from headcond.segmentation.weights import load_weights, read_card

__all__ = [
    "Segmentation",
    "SegmentationNetwork",
    "conductivity_interval",
    "conductivity_of",
    "load_weights",
    "predict",
    "read_card",
    "segment",
]
