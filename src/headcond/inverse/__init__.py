"""Conductivities from voltages: measurements, noise, estimates with bounds.

Any model with voltages and Jacobian can be inverted (`objective.ForwardModel`), here one whose
potentials fall with the square root of two conductivities:

>>> import numpy as np
>>> from headcond.inverse.optimise import estimate
>>> from headcond.inverse.protocol import make_protocol, readings
>>> class Model:
...     names, lower, upper = ("scalp", "skull"), np.array([0.2, 0.002]), np.array([0.6, 0.02])
...     pairs, electrodes, current = [("A", "B")], tuple("ABCDEF"), 1e-3
...     gain = 1e-4 * np.array([[9, -9, 1, 2, 3, 4], [1, -1, 4, 2, -5, 3]]).T
...     def voltages(self, sigma):
...         return (sigma**-0.5 @ self.gain.T)[..., None, :]
...     def jacobian(self, sigma):
...         return (-0.5 * sigma[..., None, :] ** -1.5 * self.gain)[..., None, :, :]
>>> model, truth = Model(), np.array([0.4, 0.01])
>>> protocol = make_protocol(model.pairs, model.electrodes)  # passive electrodes, their average
>>> data = readings(model.voltages(truth), protocol)
>>> estimates = estimate(model, data, protocol, noise=1e-6)
>>> estimates.sigma.round(6), bool(estimates.converged[0]), int(estimates.dof[0])
(array([[0.4 , 0.01]]), True, 1)

Measured tables are read by `measurement.read`, or by `importers`; `fit.fit` screens a
measurement and estimates from it with a reduced model.
"""
