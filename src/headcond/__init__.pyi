from .condnet.network import CondNet
from .fem.electrode_model import assemble
from .head.meshing import mesh_labels
from .inverse.fit import estimate
from .metrics import global_error, relative_error
from .rom.greedy import train
from .rom.model import ReducedModel
from .tissues import conductivity_table
from .tms.coil import Coil, figure_of_eight
from .tms.coil_files import read_coil
from .tms.spfd import solve_efield

__version__: str
__all__ = [
    "Coil",
    "CondNet",
    "ReducedModel",
    "assemble",
    "conductivity_table",
    "estimate",
    "figure_of_eight",
    "global_error",
    "mesh_labels",
    "read_coil",
    "relative_error",
    "solve_efield",
    "train",
]
