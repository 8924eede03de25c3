"""Label volumes with known geometry, for tests of the mesher."""

import numpy as np

# Generic, so that no sample of the mesher falls onto the face between two voxels.
ORIGIN = np.array([0.137, -0.241, 0.419])


def shells(radii, voxel, offset=(0.0, 0.0, 0.0)):
    """Concentric shells about `ORIGIN`: label 1 is the outermost. Radii outermost first, mm.

    `offset` shifts the volume's corner, not the shells.
    """
    half = int(np.ceil(radii[0] / voxel)) + 3
    affine = np.diag([voxel, voxel, voxel, 1.0])
    affine[:3, 3] = ORIGIN - half * voxel + np.asarray(offset)
    centres = [affine[a, 3] + voxel * np.arange(2 * half + 1) - ORIGIN[a] for a in range(3)]
    x, y, z = np.meshgrid(*centres, indexing="ij")
    radius = np.sqrt(x**2 + y**2 + z**2)
    labels = np.zeros(radius.shape, np.uint8)
    for number, limit in enumerate(radii, start=1):
        labels[radius < limit] = number
    return labels, affine


def shell_volumes(radii):
    """Volumes of the shells in m^3, outermost first."""
    balls = 4 / 3 * np.pi * (np.array(radii) * 1e-3) ** 3
    return balls - np.append(balls[1:], 0.0)
