"""Meshes whose forward problem has a known answer: boxes and concentric shells."""

from __future__ import annotations

import itertools

import numpy as np

from headcond.head.mesh import Electrodes, Mesh


def box(counts, lengths, tissue=None, names=("a",)):
    """Box [0, lengths] m of counts cells, six tetrahedra each; tissue(middle (M, 3)) -> (M,)."""
    axes = [np.linspace(0, length, n + 1) for n, length in zip(counts, lengths, strict=True)]
    nodes = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    shape = np.array(counts) + 1
    corner = np.stack(np.meshgrid(*map(np.arange, counts), indexing="ij"), axis=-1).reshape(-1, 3)
    tetrahedra = []
    for order in itertools.permutations(range(3)):  # from (0,0,0) to (1,1,1) along the edges
        path = [corner]
        for axis in order:
            path.append(path[-1] + np.eye(3, dtype=int)[axis])
        tetrahedra.append(np.stack([np.ravel_multi_index(p.T, shape) for p in path], axis=1))
    tetrahedra = oriented(nodes, np.concatenate(tetrahedra))
    middle = nodes[tetrahedra].mean(axis=1)
    ids = np.ones(len(tetrahedra)) if tissue is None else tissue(middle)
    return Mesh(nodes, tetrahedra, ids.astype(np.uint8), names)


def face_electrodes(mesh, axis=0):
    """Two electrodes that cover the whole faces of a box at both ends of an axis."""
    surface = mesh.surface()
    ends = mesh.nodes[:, axis].min(), mesh.nodes[:, axis].max()
    faces = tuple(
        surface[np.all(np.abs(mesh.nodes[surface][:, :, axis] - end) < 1e-12, axis=1)]
        for end in ends
    )
    centres = np.array([mesh.nodes[np.unique(f)].mean(axis=0) for f in faces])
    return Electrodes(("near", "far"), centres, faces, tuple(np.ones(len(f)) for f in faces))


def icosphere(level):
    """Unit sphere: vertices (N, 3) and outward triangles (F, 3) of a refined icosahedron."""
    g = (1 + 5**0.5) / 2
    corners = [(-1, g, 0), (1, g, 0), (-1, -g, 0), (1, -g, 0), (0, -1, g), (0, 1, g),
               (0, -1, -g), (0, 1, -g), (g, 0, -1), (g, 0, 1), (-g, 0, -1), (-g, 0, 1)]  # fmt: skip
    vertices = np.array(corners, float)
    triangles = [
        t for t in itertools.combinations(range(12), 3)
        if all(abs(np.linalg.norm(vertices[i] - vertices[j]) - 2) < 1e-9
               for i, j in itertools.combinations(t, 2))
    ]  # fmt: skip
    vertices /= np.linalg.norm(vertices, axis=1, keepdims=True)
    triangles = np.array(triangles)
    for _ in range(level):
        edges = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
        unique, which = np.unique(edges, axis=0, return_inverse=True)
        middle = vertices[unique].sum(axis=1)
        middle /= np.linalg.norm(middle, axis=1, keepdims=True)
        new = len(vertices) + which.reshape(-1, 3)
        vertices = np.vstack([vertices, middle])
        a, b, c = triangles.T
        ab, bc, ca = new.T
        triangles = np.concatenate([
            np.stack(t, axis=1) for t in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))
        ])  # fmt: skip
    p, q, r = vertices[triangles].transpose(1, 0, 2)
    inward = np.einsum("fi,fi->f", np.cross(q - p, r - p), p) < 0
    triangles[inward] = triangles[inward][:, [0, 2, 1]]
    return vertices, triangles


def shells(radii, level, divisions, core):
    """Concentric shells: an icosphere at every radius, prisms cut into three tetrahedra.

    The innermost layer is a ball of `core` shells around a node at the centre; every
    further layer has `divisions` shells. Tissues are called layer1, layer2, ...
    """
    surfaces = list(radii[0] * np.arange(1, core + 1) / core)
    layer = [1] * core
    for number, (inner, outer) in enumerate(itertools.pairwise(radii), start=2):
        surfaces += list(inner + (outer - inner) * np.arange(1, divisions + 1) / divisions)
        layer += [number] * divisions
    vertices, triangles = icosphere(level)
    count = len(vertices)
    nodes = np.concatenate([np.zeros((1, 3)), *(radius * vertices for radius in surfaces)])
    low = np.sort(triangles, axis=1) + 1
    parts = [np.column_stack([np.zeros(len(low), int), low])]
    # Sorted corners: the diagonal of a side starts at its lower number, in both prisms.
    for number in range(len(surfaces) - 1):
        a, b, c = (low + number * count).T
        d, e, f = (low + (number + 1) * count).T
        parts.append(np.concatenate([
            np.stack(t, axis=1) for t in ((a, b, c, f), (a, b, e, f), (a, d, e, f))
        ]))  # fmt: skip
    tissue = np.concatenate([np.full(len(p), k) for p, k in zip(parts, layer, strict=True)])
    names = tuple(f"layer{k + 1}" for k in range(len(radii)))
    tetrahedra = oriented(nodes, np.concatenate(parts))
    return Mesh(nodes, tetrahedra, tissue.astype(np.uint8), names)


def caps(mesh, directions, half_angle, labels=None):
    """Disc electrodes on a spherical mesh; cut triangles are weighted by their covered part."""
    surface = mesh.surface()
    steps = 24
    i, j = np.meshgrid(np.arange(steps), np.arange(steps), indexing="ij")
    upper, lower = i + j < steps, i + j < steps - 1
    samples = np.concatenate([
        np.column_stack([i[upper], j[upper]]) + 1 / 3, np.column_stack([i[lower], j[lower]]) + 2 / 3
    ]) / steps  # fmt: skip
    barycentric = np.column_stack([samples, 1 - samples.sum(axis=1)])
    faces, weights = [], []
    reach = half_angle + np.sqrt(4 * np.pi / len(surface)) * 2
    middle = mesh.nodes[surface].mean(axis=1)
    middle /= np.linalg.norm(middle, axis=1, keepdims=True)
    for direction in directions:
        near = surface[middle @ direction > np.cos(reach)]
        inside = np.einsum("sk,fki->fsi", barycentric, mesh.nodes[near])
        inside /= np.linalg.norm(inside, axis=2, keepdims=True)
        weight = (inside @ direction > np.cos(half_angle)).mean(axis=1)
        faces.append(near[weight > 0])
        weights.append(weight[weight > 0])
    labels = labels or tuple(f"E{k}" for k in range(len(directions)))
    radius = np.linalg.norm(mesh.nodes, axis=1).max()
    return Electrodes(labels, radius * np.asarray(directions), tuple(faces), tuple(weights))


def direction(theta, phi):
    """Unit vector at polar angle theta and azimuth phi."""
    return np.array([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)])


def oriented(nodes, tetrahedra):
    """Tetrahedra with two corners swapped where the volume is negative."""
    edges = nodes[tetrahedra[:, 1:]] - nodes[tetrahedra[:, :1]]
    flipped = np.linalg.det(edges) < 0
    tetrahedra = tetrahedra.copy()
    tetrahedra[flipped] = tetrahedra[flipped][:, [0, 1, 3, 2]]
    return tetrahedra
