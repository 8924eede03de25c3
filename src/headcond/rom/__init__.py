"""Reduced models of the forward problem: certified, trained by a greedy algorithm per pair.

Three conductances in a ring of four nodes, two of which are electrodes:

>>> from functools import partial
>>> import numpy as np
>>> from headcond import fem, rom
>>> edges = {"scalp": (0, 1), "gm": (1, 3), "wm": (0, 2), "contact": (2, 3)}
>>> blocks = np.zeros((4, 4, 4))
>>> for block, (i, j) in zip(blocks, edges.values()):
...     block[[i, j], [i, j]], block[[i, j], [j, i]] = 1, -1
>>> indptr, indices = np.arange(0, 17, 4), np.tile(np.arange(4), 4)
>>> operator = fem.AffineOperator(
...     tuple(edges), indptr, indices, blocks.reshape(4, 16), ("A", "B"), nodes=2
... )
>>> box = rom.named_box("full", ["scalp", "gm", "wm"], fixed={"contact": 0.2})
>>> settings = rom.Settings(max_snapshots=3, training=100, tolerance=1e-6)
>>> solver = partial(fem.make_solver, backend="direct")
>>> model = rom.train_pairs(operator, [("A", "B")], box, settings, solver_factory=solver)
>>> sigma = box.centre
>>> exact = solver(operator.combine([*sigma, 0.2])).solve(operator.load("A", "B", 20e-6)).x
>>> reduced = model.voltages(sigma)[0]  # (L,), V, up to one constant
>>> bool(np.isclose(np.ptp(reduced), abs(exact[2] - exact[3])))
True
>>> model.jacobian(sigma).shape  # (pairs, L, parameters), V/(S/m)
(1, 2, 3)
>>> bool(model.bound(sigma)[0] < 1e-6)  # of the error in the energy norm, W^0.5
True

`ReducedModel.read` takes up a trained model from its file; `train` trains one pair and keeps
its basis.
"""

import lazy_loader

# On first use: modules that need one name do not import, or depend on, all of them.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
