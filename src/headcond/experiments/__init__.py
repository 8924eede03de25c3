"""Experiments of the two papers, with the baselines and published values for comparison.

Experiment 1 is in `convergence`, 2 to 4 in `estimation`, 5 in `measured`; wrong heads in
`wrong_heads`, the traditional method in `traditional`, numbers of the papers in `published`.

>>> import numpy as np
>>> from headcond.experiments.convergence import snapshot_counts
>>> from headcond.experiments.estimation import opposite_patterns
>>> from headcond.experiments.published import experiment_5
>>> snapshot_counts(40, rows=4)
[1, 2, 3, 4, 5, 14, 27, 40]
>>> angles = np.deg2rad([0, 90, 180, 270])
>>> places = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)
>>> opposite_patterns(["A", "B", "C", "D"], places, count=2)
[('C', 'A'), ('D', 'B')]
>>> experiment_5("all tissues, spongy bone to 0.088 S/m", "wm")
'AM 118 ± 72; CA 114 ± 63; AA 99 ± 60'
"""
