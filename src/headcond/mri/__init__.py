"""MR preprocessing: bias field, alignment, one grid, normalisation, registration to MNI.

Two scans of one head, here of a generated one, on grids that differ:

>>> import numpy as np
>>> from headcond.cohort.phantom import generate_head
>>> from headcond.mri import align, bias, normalise, resampling
>>> head = generate_head(seed=1, subject="sub-01", voxel_size=2.5, subdivisions=1)

T2w onto the grid of T1w, by the rigid motion of largest mutual information:

>>> aligned = align.rigid(head.t2, head.t2_affine, head.t1, head.affine)
>>> bool(np.abs(aligned.transform - head.t2_motion)[:3, 3].max() < 1.0)  # mm
True

The receive coil's bias field removed, intensities to [0, 1], on a grid for the network:

>>> t1, field = bias.correct(head.t1, head.affine)
>>> t1, statistics = normalise.normalise(t1)
>>> conformed, affine = resampling.conform(t1, head.affine, voxel_size=4.0, shape=(48, 64, 64))
>>> conformed.shape, float(affine[0, 0])
((48, 64, 64), 4.0)
"""
