"""headcond: each person's head gets its own electrical conductivity.

MRI to conductivity to TMS field (CondNet), and EIT voltages to conductivity (ROM-pEIT). Research
use only; not a medical device.

From a conductivity map and a coil to the field:

>>> import headcond
>>> import numpy as np
>>> i, j, k = np.indices((16, 16, 16)) - 7.5
>>> ball = i**2 + j**2 + k**2 < 49  # radius 35 mm in voxels of 5 mm
>>> sigma = np.where(ball, headcond.conductivity_table("A")["gm"], 0.0)  # S/m, 0 in air
>>> affine = np.diag([5.0, 5.0, 5.0, 1.0])  # voxel to world, mm
>>> affine[:3, 3] = -37.5  # the centre of the ball is the origin
>>> matrix = np.diag([1.0, -1.0, -1.0, 1.0])  # the coil faces down, ...
>>> matrix[2, 3] = 0.04  # m, ... 5 mm above the ball
>>> coil = headcond.figure_of_eight().transformed(matrix)
>>> field = headcond.solve_efield(sigma, affine, coil, didt=1e6)  # A/s
>>> field.vector.shape  # V/m
(16, 16, 16, 3)
>>> other = headcond.solve_efield(2 * sigma, affine, coil, didt=1e6)
>>> error = headcond.global_error(field.magnitude, other.magnitude, ball)
>>> round(error.mean, 3)  # percent: a common factor of the conductivity does not matter
0.0

From electrode potentials to conductivities: `mesh_labels` and `assemble` make the operator of a
head, `train` (one pair; `headcond.rom` has the rest) and `ReducedModel` its reduced model, and
`estimate` fits a measurement. `CondNet` is the network from MRI to conductivity. Names are
imported when they are first used, so `import headcond` loads neither PyTorch nor PETSc.
"""

import lazy_loader

__version__ = "0.1.0"

# By the type stub, not by imports under TYPE_CHECKING: the workflow follows imports to see which
# code made a result, and every module that reads __version__ would then depend on all others.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
