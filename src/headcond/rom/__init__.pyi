from .greedy import train
from .model import ReducedModel
from .parameters import Box, named_box
from .settings import Settings
from .training import train_pairs

__all__ = [
    "Box",
    "ReducedModel",
    "Settings",
    "named_box",
    "train",
    "train_pairs",
]
