from .electrodes import place_discs
from .formats import read_head, read_mesh, write_head
from .mesh import Electrodes, Mesh
from .meshing import mesh_labels

__all__ = [
    "Electrodes",
    "Mesh",
    "mesh_labels",
    "place_discs",
    "read_head",
    "read_mesh",
    "write_head",
]
