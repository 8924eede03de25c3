from .electrode_model import assemble
from .operator import AffineOperator
from .solvers import make_solver
from .sphere import layered_potential

__all__ = [
    "AffineOperator",
    "assemble",
    "layered_potential",
    "make_solver",
]
