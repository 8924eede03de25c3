"""CondNet: slices of T1 and T2 to slices of conductivity, one network per slicing axis.

A network maps two images to one normalised conductivity; here a small one without training.

>>> import numpy as np, torch
>>> from headcond.condnet import fusion, slices
>>> from headcond.condnet.network import CondNet
>>> _ = torch.manual_seed(0)  # of the weights
>>> network = CondNet(inputs=2, outputs=1, depth=2).eval()
>>> images = np.random.default_rng(0).random((2, 8, 12, 16), np.float32)

One prediction per axis, of all slices along it (eq. 1):

>>> predictions = []
>>> for axis in slices.AXES:
...     stack = torch.from_numpy(slices.volume_to_slices(images, axis).copy())
...     predictions.append(slices.slices_to_volume(network(stack).detach().numpy(), axis))

Their average (eq. 2) in S/m (eq. 3), with the largest conductivity of the table, 2 S/m:

>>> sigma = fusion.rescale(fusion.average_axes(predictions), maxima=[2.0], tau=0.1)
>>> sigma.shape, bool(0 < sigma.min() < sigma.max() < 2.0 / 0.9)
((1, 8, 12, 16), True)
"""
