"""Cohorts: generated heads, label maps with simulated contrasts, real scans.

A generated head has a ground truth: tissues, conductivity, and the images that they imply.

>>> from headcond.cohort.phantom import generate_head
>>> head = generate_head(seed=1, subject="sub-01", voxel_size=2.5, subdivisions=1)
>>> head.labels.shape, head.conductivity.dtype, head.t1.dtype
((78, 96, 96), dtype('float32'), dtype('float32'))

Label maps of any scheme become the thirteen tissues on a grid with air around the head.

>>> from headcond.cohort.labels import prepare_labels
>>> prepared = prepare_labels(head.labels, head.affine, "headcond13", voxel_size=5.0)
>>> bool(prepared.labels13[0].any()), sorted(prepared.counts)
(False, ['bubbles_filled', 'specks_removed'])

Simulated images of labels: partial volume, then bias field, then noise.

>>> import numpy as np
>>> from headcond.cohort.contrast import T2W, simulate
>>> rng = np.random.default_rng(0)
>>> simulate(head.labels, None, rng, *T2W, factor=2, bias_strength=0.2, noise=0.02).shape
(39, 48, 48)
"""
