"""Muon for the convolutions of the trunk, AdamW for everything else, as one optimiser."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

_MOMENTUM = 0.95
_BETAS = (0.9, 0.99)
_EPS = 1e-8
_DECAY = 0.01
# Newton-Schulz step of Jordan et al. (2024): singular values to about 1 in five steps.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_UPDATE_SIZE = 0.2  # root mean square of an update of AdamW, which Muon's is brought to
_ADAMW_ONLY = ("stem", "out", "auxiliary")


class MuonAdamW(torch.optim.Optimizer):
    """Two rules in one optimiser, so that one training loop and one state file hold them.

    A convolution's kernel is a matrix of output channels by everything else. Muon replaces the
    momentum of such a matrix by the nearest one with orthogonal rows or columns: all directions
    advance alike. The first and last layers, scales and shifts follow AdamW. torch's own Muon
    takes two-dimensional parameters alone.

    Parameters
    ----------
    network : module whose parameters are trained.
    learning_rate : of both rules; Muon's updates are scaled to the size of AdamW's.

    References
    ----------
    K. Jordan et al. (2024), Muon: an optimizer for hidden layers in neural networks; J. Liu et
    al. (2025), Muon is scalable for LLM training (the scale of the update).
    """

    def __init__(self, network: nn.Module, learning_rate: float) -> None:
        matrices, others = [], []
        for name, parameter in network.named_parameters():
            whole = parameter.ndim == 5 and name.split(".")[0] not in _ADAMW_ONLY
            (matrices if whole else others).append(parameter)
        groups = [{"params": matrices, "muon": True}, {"params": others, "muon": False}]
        super().__init__(groups, {"lr": learning_rate})

    @torch.no_grad()
    def step(self, closure=None):  # noqa: ANN001, ANN201
        """Update all parameters once."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            rule = self._muon if group["muon"] else self._adamw
            rule((p for p in group["params"] if p.grad is not None), group["lr"])
        return loss

    def _muon(self, parameters: Iterable[nn.Parameter], rate: float) -> None:
        for parameter in parameters:
            state = self.state[parameter]
            if not state:
                state["momentum"] = torch.zeros_like(parameter)
            momentum = state["momentum"].lerp_(parameter.grad, 1 - _MOMENTUM)
            update = parameter.grad.lerp(momentum, _MOMENTUM)
            matrix = orthogonal(update.reshape(len(update), -1))
            parameter.mul_(1 - rate * _DECAY)
            scale = _UPDATE_SIZE * max(matrix.shape) ** 0.5
            parameter.add_(matrix.reshape(parameter.shape), alpha=-rate * scale)

    def _adamw(self, parameters: Iterable[nn.Parameter], rate: float) -> None:
        for parameter in parameters:
            state = self.state[parameter]
            if not state:
                state["step"] = torch.zeros(())
                state["mean"] = torch.zeros_like(parameter)
                state["square"] = torch.zeros_like(parameter)
            state["step"] += 1
            count = int(state["step"])
            state["mean"].lerp_(parameter.grad, 1 - _BETAS[0])
            state["square"].mul_(_BETAS[1]).addcmul_(
                parameter.grad, parameter.grad, value=1 - _BETAS[1]
            )
            root = (state["square"] / (1 - _BETAS[1] ** count)).sqrt_().add_(_EPS)
            if parameter.ndim > 1:
                parameter.mul_(1 - rate * _DECAY)
            parameter.addcdiv_(state["mean"], root, value=-rate / (1 - _BETAS[0] ** count))


def orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """Bring all singular values of a matrix (m, n) near 1 (0.7 to 1.2), its directions kept.

    The products are of bfloat16: the result needs no more digits than the noise of a gradient.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.T if tall else matrix).bfloat16()
    x = x / (x.norm() + 1e-7)
    a, b, c = _COEFFICIENTS
    for _ in range(_ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if tall else x).to(matrix.dtype)
