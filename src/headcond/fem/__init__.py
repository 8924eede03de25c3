"""Finite elements for EIT: the complete electrode model as an affine operator, and solvers.

A bar of one tissue between two electrodes is a resistor:

>>> import numpy as np
>>> from headcond import fem
>>> from headcond.head import Electrodes, Mesh
>>> corners = np.array(list(np.ndindex(2, 2, 2)), float)
>>> nodes = corners * [0.1, 0.05, 0.05]  # m
>>> cube = [[0, 4, 6, 7], [0, 6, 2, 7], [0, 2, 3, 7], [0, 3, 1, 7], [0, 1, 5, 7], [0, 5, 4, 7]]
>>> mesh = Mesh(nodes, np.array(cube), np.ones(6, np.uint8), ("gm",))
>>> faces = mesh.surface()
>>> ends = [faces[(nodes[faces, 0] == x).all(axis=1)] for x in (0, 0.1)]
>>> covered = [np.ones(len(end)) for end in ends]
>>> operator = fem.assemble(mesh, Electrodes(("A", "B"), np.zeros((2, 3)), ends, covered))
>>> operator.names
('gm', 'contact')
>>> matrix = operator.combine([0.33, 1 / 5.0])  # sigma, S/m; 1/z, z = 5 Ohm m^2
>>> load = operator.load("A", "B", current=1e-3)
>>> potential = fem.make_solver(matrix, backend="direct").solve(load).x
>>> ohm = (potential[operator.unknown("A")] - potential[operator.unknown("B")]) / 1e-3
>>> bool(np.isclose(ohm, (0.1 / 0.33 + 2 * 5.0) / 0.05**2))
True

`layered_potential` is the series solution on a sphere of concentric layers.
"""

import lazy_loader

# On first use: modules that need one name do not import, or depend on, all of them.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
