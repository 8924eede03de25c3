"""Figures: plain functions from arrays and tables to matplotlib figures.

Modules by topic: `alignment`, `slices` (volumes in three planes), `conductivity`, `patches`,
`rendering`, `tms`, `meshes`, `rom`, `estimates`, `experiments`; `style` and `names` serve them all.

Every function returns a figure with units on its axes:

>>> import numpy as np
>>> from headcond.figures import meshes, slices, style
>>> map = np.full((20, 24, 22), 0.2)  # S/m on a grid of 4 mm
>>> map[8:12, 8:12, 8:12] = 1.8
>>> affine = np.diag([4.0, 4.0, 4.0, 1.0])
>>> figure = slices.plot_slices(
...     {"estimated": map}, affine, (10, 10, 10), unit="S/m", limits=(0.0, 2.0)
... )
>>> [panel.get_ylabel() for panel in figure.axes]
['axial', 'sagittal', 'coronal', 'S/m']

Helpers are pure: one tetrahedron is cut by a plane in one triangle.

>>> nodes = np.vstack([np.zeros(3), np.eye(3)])
>>> (triangle,), owner = meshes.plane_polygons(nodes, np.array([[0, 1, 2, 3]]), 2, 0.5)
>>> triangle.shape
(3, 3)

`save` writes the PNG and a JSON sidecar, and closes the figure. A note states in the picture what
the data are:

>>> import tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     style.save(figure, f"{folder}/map.png", note="generated head")
"""
