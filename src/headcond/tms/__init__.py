"""TMS fields: coils, their placement, and scalar-potential finite differences (SPFD).

The field of a figure-of-eight coil in a ball of 0.33 S/m, radius 30 mm, voxels of 3 mm:

>>> import numpy as np
>>> from headcond import tms
>>> i, j, k = np.indices((24, 24, 24)) - 11.5
>>> sigma = np.where(i**2 + j**2 + k**2 < 100, 0.33, 0.0)  # S/m, 0 in air
>>> affine = np.diag([3.0, 3.0, 3.0, 1.0])  # voxel to world, mm
>>> affine[:3, 3] = -34.5
>>> matrix = tms.place(sigma, affine, position=(0, 0, 31), handle_towards=(0, -20, 31))
>>> coil = tms.figure_of_eight().transformed(matrix)
>>> field = tms.solve_efield(sigma, affine, coil, didt=1e8)  # 100 A/us
>>> field.vector.shape, field.residual < 1e-6
((24, 24, 24, 3), True)
>>> round(float(field.magnitude.max()))  # V/m
172

`headcond.tms.read_coil` reads SimNIBS's coil files, `solve_positions` solves many positions on
one head, `dipole_efield` is the closed form in a sphere.
"""

import os

import lazy_loader

# The kernels meet at some thousand barriers per solve. GNU OpenMP lets threads spin there, which
# on cores that others use too made a solve ten times slower; asleep they cost nothing. The
# library reads this once, when Numba loads it; a value set before is kept.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# On first use: modules that need one name do not import, or depend on, all of them.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
