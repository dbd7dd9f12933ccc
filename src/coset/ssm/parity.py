"""The one layer that computes parity: input-dependent, with a negative eigenvalue."""

from __future__ import annotations

import torch

from coset.ssm.layers import DiagonalSSM

__all__ = ["parity_layer"]

# tanh rounds to ±1 exactly there, in float32 and in float64.
_SATURATED = 20.0


def parity_layer() -> DiagonalSSM:
    """Build h_t = a(x_t) h_{t−1}, a(0) = 1, a(1) = −1, h_0 = 1: h_t = (−1)^(x_1 + … + x_t).

    Input dependence and a negative eigenvalue together do what neither does alone [parity]. The
    states are exactly 1 and −1 in floating point, so that the layer is right at every length.

    Returns:
        A `DiagonalSSM` of kind "signed" with one number of state, for bits as inputs (…, T, 1).

    Claims: ssm.C6c.

    Example:
        >>> bits = torch.tensor([0.0, 1.0, 1.0, 1.0])
        >>> parity_layer()(bits[:, None])[:, 0].tolist()
        [1.0, -1.0, 1.0, -1.0]
    """
    layer = DiagonalSSM(1, 1, kind="signed", input_term=False)
    assert isinstance(layer.gate, torch.nn.Linear)
    with torch.no_grad():
        layer.gate.weight.fill_(-2 * _SATURATED)
        layer.gate.bias.fill_(_SATURATED)
    return layer
