"""Broken meshes, in the manner of `bad_files`."""

from __future__ import annotations

import meshio
import numpy as np
import scipy.io

from headcond.head.formats import check_mesh, read_head, read_mesh
from tests.helpers.bad_files import cut, hdf5_of_p, nothing, text

POINTS = 0.1 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1.0]])
TETRAHEDRA = np.array([[0, 1, 2, 3], [1, 2, 3, 4]])


def vtu(points=POINTS, cells=(("tetra", TETRAHEDRA),), name="tissue", tissue=(1, 2)):
    def write(path):
        data = {name: [np.array(tissue, np.uint8)[: len(cells[0][1])]]}
        meshio.Mesh(points, list(cells), cell_data=data).write(path)

    return write


def matlab(**content):
    return lambda path: scipy.io.savemat(path, content)


def metres(path):
    return read_mesh(path, "m")


MESHES = {
    "absent": ("a.vtu", nothing, metres, ["no such file"]),
    "a surface format": ("a.stl", text("solid"), metres, ["these are .vtu, .msh"]),
    "garbage": ("a.vtu", text("<VTKFile>"), metres, ["cannot be read as a mesh"]),
    "cut off": ("a.vtu", cut(vtu(), 0.5), metres, ["cannot be read as a mesh"]),
    "garbage for gmsh": ("a.msh", text("$MeshFormat\n9.9 0 8\n"), metres, ["cannot be read"]),
    "no unit": ("a.vtu", vtu(), read_mesh, ["state the unit", "looks like m"]),
    "millimetres said, metres meant": ("a.vtu", vtu(), lambda p: read_mesh(p, "mm"),
                                       ["is not a head", "State the right unit"]),
    "an unknown unit": ("a.vtu", vtu(), lambda p: read_mesh(p, "inch"), ["unit: 'inch'"]),
    "triangles only": ("a.vtu", vtu(cells=(("triangle", TETRAHEDRA[:, :3]),)), metres,
                       ["no tetrahedron"]),
    "no tissues": ("a.vtu", vtu(name="region"), metres, ["no cell data 'tissue'"]),
    "EIDORS without materials": ("a.mat", matlab(vtx=POINTS, tri=TETRAHEDRA + 1), metres,
                                 ["neither an EIDORS mesh"]),
    "two meshes in a folder": ("two/a.mat", lambda p: (p.parent.mkdir(), p.write_bytes(b""),
                               p.with_name("b.mat").write_bytes(b"")),
                               lambda p: metres(p.parent), ["two", "found 2"]),
    "a header that asks for memory": ("a.msh", text("$MeshFormat\n2.2 0 8\n$EndMeshFormat\n$Nodes\n"
                                      "200000000\n1 0 0 0\n$EndNodes\n"), metres,
                                      ["more than .* bytes of memory", "export it again"]),
    "at first sight, absent": ("a.vtu", nothing, check_mesh, ["no such file"]),
    "at first sight, no XML": ("a.vtu", text("mesh"), check_mesh, ["cannot be read as a mesh"]),
    "at first sight, an image of VTK": ("a.vtu", text('<VTKFile type="ImageData">'), check_mesh,
                                        ["not an unstructured grid", "Export it again"]),
    "at first sight, no gmsh": ("a.msh", text("solid\n"), check_mesh, ["not a mesh of gmsh"]),
    "at first sight, another MATLAB file": ("a.mat", matlab(p=POINTS), check_mesh,
                                            ["EIDORS's .vtx, tri, materials. or ROMpEIT's"]),
    "at first sight, no MATLAB file": ("a.mat", text("p t f"), check_mesh,
                                       ["cannot be read as a MATLAB file"]),
    "at first sight, another HDF5 file": ("a.mat", hdf5_of_p, check_mesh, ["ROMpEIT's .p, t, f"]),
    "a head file that is none": ("a_head.h5", text("x"), read_head, ["cannot be read as a head"]),
}  # fmt: skip
