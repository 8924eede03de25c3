from .coil import Coil, figure_of_eight, from_dipoles
from .coil_files import read_coil
from .placement import place
from .spfd import EField, solve_efield, solve_positions
from .sphere import dipole_efield

__all__ = [
    "Coil",
    "EField",
    "dipole_efield",
    "figure_of_eight",
    "from_dipoles",
    "place",
    "read_coil",
    "solve_efield",
    "solve_positions",
]
