"""CGAL's Delaunay refinement of a label volume, through pygalmesh where that is installed.

CGAL is under the GPL, so it is an extra that nothing else needs: pip install headcond[cgal].
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from headcond.checks import InputError, voxel_sizes

# A body-centred lattice of the same `size` has tetrahedra of this circumradius.
_CIRCUMRADIUS = np.sqrt(5) / 4
# CGAL removes slivers for ever where it may: seconds, and the dihedral angle that is enough.
_EXUDE_SECONDS, _EXUDE_DEGREES = 60.0, 10.0


def tetrahedra(
    labels: np.ndarray, affine: np.ndarray, edge: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mesh all labels above 0.

    Parameters
    ----------
    labels : (nx, ny, nz) uint8, 0 outside.
    affine : (4, 4) voxel -> world, mm, without shear.
    edge : size of the elements as for the lattice, mm.

    Returns
    -------
    nodes (N, 3) world mm, tetrahedra (M, 4) positively oriented, labels (M,) uint8.

    Raises
    ------
    InputError
        If pygalmesh is not installed, or CGAL makes no tetrahedron.
    """
    try:
        galmesh = importlib.import_module("pygalmesh")
    except ImportError as error:
        raise InputError(
            f"The method 'cgal' needs pygalmesh ({error}): pip install headcond[cgal], which "
            "compiles against CGAL, or choose the method 'bcc'."
        ) from error
    spacing = voxel_sizes(affine)
    with tempfile.TemporaryDirectory() as folder, _silence():
        image = str(Path(folder) / "labels.inr")
        galmesh.save_inr(np.asfortranarray(labels), tuple(map(float, spacing)), image)
        # Not `generate_from_array`: it hands `verbose` on as the limit of the exudation.
        mesh = galmesh.generate_from_inr(
            image,
            **dict.fromkeys(("lloyd", "odt", "perturb", "verbose"), False),
            exude=True,
            exude_time_limit=_EXUDE_SECONDS,
            exude_sliver_bound=_EXUDE_DEGREES,
            min_facet_angle=25.0,
            max_radius_surface_delaunay_ball=float(_CIRCUMRADIUS * edge),
            max_facet_distance=float(0.125 * edge),
            max_circumradius_edge_ratio=2.0,
            max_cell_circumradius=float(_CIRCUMRADIUS * edge),
            seed=0,
        )
    cells = mesh.cells_dict.get("tetra", np.empty((0, 4), np.int64))
    if len(cells) == 0:
        raise InputError("CGAL made no tetrahedron of these labels: make size smaller.")
    reference = next(kinds for kinds in mesh.cell_data_dict.values() if "tetra" in kinds)
    nodes = (mesh.points / spacing) @ affine[:3, :3].T + affine[:3, 3]
    cells = cells.astype(np.int64)
    mirrored = (
        np.linalg.det(nodes[cells[:, 1:]] - nodes[cells[:, :1]]) < 0
    )  # the image's axes may be left-handed
    cells[mirrored] = cells[mirrored][:, [0, 2, 1, 3]]
    return nodes, cells, np.asarray(reference["tetra"]).astype(np.uint8)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Discard what C++ writes to the console: CGAL reports every vertex."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(stream) for stream in (1, 2)]
    with open(os.devnull, "wb") as nowhere:
        for stream in (1, 2):
            os.dup2(nowhere.fileno(), stream)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for stream, old in zip((1, 2), kept, strict=True):
            os.dup2(old, stream)
            os.close(old)
