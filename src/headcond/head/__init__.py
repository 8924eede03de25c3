"""Head models for EIT: from a label map to a tetrahedral mesh with electrodes.

A head of two tissues, meshed at 8 mm, with two disc electrodes:

>>> import numpy as np
>>> from headcond import head
>>> i, j, k = np.indices((32, 32, 32)) - 15.5
>>> radius = np.sqrt(i**2 + j**2 + k**2)
>>> labels = (radius < 14).astype(np.uint8) + (radius < 11)  # 0 air, 1 scalp, 2 gm
>>> affine = np.diag([3.0, 3.0, 3.0, 1.0])  # voxel to world, mm
>>> affine[:3, 3] = -46.5
>>> mesh = head.mesh_labels(labels, affine, size=0.008, tissue_names=("scalp", "gm"))
>>> bool(np.all(mesh.volumes() > 0))
True
>>> (mesh.tissue_volumes() * 1e6).round(-1).tolist()  # ml
[160.0, 150.0]
>>> discs = head.place_discs(mesh, ["C3", "C4"], [[-0.042, 0, 0], [0.042, 0, 0]], diameter=0.012)
>>> (discs.areas(mesh.nodes) * 1e6).round().tolist()  # mm^2
[113.0, 113.0]

`write_head` and `read_head` keep both in one HDF5 file; `read_mesh` reads meshes made elsewhere.
"""

import lazy_loader

# On first use: modules that need one name do not import, or depend on, all of them.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
