from headcond.condnet.network import CondNet
from headcond.fem.electrode_model import assemble
from headcond.head.meshing import mesh_labels
from headcond.inverse.fit import fit as estimate
from headcond.metrics import global_error, relative_error
from headcond.rom.greedy import train
from headcond.rom.model import ReducedModel
from headcond.tissues import conductivity_table
from headcond.tms.coil import Coil, figure_of_eight
from headcond.tms.coil_files import read as read_coil
from headcond.tms.spfd import solve_efield

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
