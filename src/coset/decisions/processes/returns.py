"""Returns and advantages of trajectories whose rewards are multiplied step by step.

u(t·τ) = r(t) + m(t) u(τ) for numbers and u(t·τ) = r(t) + Γ(t) u(τ) for vectors are affine maps of
what follows, so that all returns of a trajectory are one scan run backwards (`coset.scan`).
"""

from __future__ import annotations

from numbers import Real
from typing import Any

import torch
from torch import Tensor

from coset.core.errors import DomainError, DtypeError, ShapeError, UnsupportedError
from coset.scan import matrix_scan, scan

__all__ = ["multiplier_advantages", "multiplier_returns", "multiplier_returns_reference"]


def multiplier_returns(
    reward: Any, multiplier: Any, bootstrap: Any = None, *, backend: str | None = None
) -> Tensor:
    """Return what is earned from each step of a trajectory on: G_t = r_t + Γ_t G_{t+1}.

    The last step is followed by `bootstrap`, the value of the state in which the trajectory was cut
    off; a step that ends an episode has multiplier 0, so that nothing after it counts.

    Args:
        reward: (T,) numbers, or (…, T, d) with time before the d objectives; finite or not.
        multiplier: a number or (T,) for rewards (T,); for rewards (…, T, d) anything that
            broadcasts to (…, T, d), one factor for each objective, or, with exactly one dimension
            more than the rewards, (…, T, d, d) whose sizes may be 1 before the last two: Γ_t.
        bootstrap: what broadcasts to (…, d), or one number for rewards (T,); None: 0.
        backend: as in `coset.scan.scan`.

    Returns:
        G of the shape of the rewards and of the promoted dtype; integers are read as float64. NaN
        and infinity propagate as in r + Γ·G. Empty for T = 0. Differentiable in all three.

    Raises:
        ShapeError: if the shapes do not fit.
        DtypeError: if an input cannot be read as real numbers.
        UnsupportedError: if the inputs lie on different devices, or the backend is unknown.

    Complexity: O(T·d) for factors, O(T·d²) for matrices.

    Claims: decisions.C5, decisions.C13.

    Example:
        >>> multiplier_returns([1.0, 1.0, 1.0], [2.0, 0.5, 0.5], 4.0)
        tensor([6.0000, 2.5000, 3.0000], dtype=torch.float64)
        >>> safety_first = torch.tensor([[[1.0, 0.0], [2.0, 0.9]], [[0.0, 0.0], [0.0, 0.0]]])
        >>> multiplier_returns(torch.tensor([[0.0, 2.0], [-1.0, 0.0]]), safety_first)[0]
        tensor([-1.,  0.])
    """
    r, m, last, flat = _prepare(reward, multiplier, bootstrap)
    returns = _backward(m, r, last, backend)
    return returns[..., 0] if flat else returns


def multiplier_returns_reference(reward: Any, multiplier: Any, bootstrap: Any = None) -> Tensor:
    """Return what `multiplier_returns` returns, by the definition: one step after the other.

    Args:
        reward: as in `multiplier_returns`.
        multiplier: likewise.
        bootstrap: likewise.

    Returns:
        G, as there.

    Raises:
        ShapeError: as there.
        DtypeError: as there.

    Claims: decisions.C5.

    Example:
        >>> multiplier_returns_reference([1.0, 1.0, 1.0], 0.5)
        tensor([1.7500, 1.5000, 1.0000], dtype=torch.float64)
    """
    r, m, last, flat = _prepare(reward, multiplier, bootstrap)
    matrices = m if m.dim() > r.dim() else torch.diag_embed(m.expand_as(r))
    after, steps = last, list(r.unbind(-2))
    for t in range(len(steps) - 1, -1, -1):
        after = steps[t] = steps[t] + (matrices[..., t, :, :] @ after.unsqueeze(-1)).squeeze(-1)
    returns = torch.stack(steps, -2) if steps else torch.zeros_like(r)
    return returns[..., 0] if flat else returns


def multiplier_advantages(
    reward: Any,
    multiplier: Any,
    value: Any,
    next_value: Any,
    *,
    trace: float = 0.95,
    ended: Any = None,
    backend: str | None = None,
) -> Tensor:
    """Return generalized advantages: A_t = δ_t + λ Γ_t A_{t+1}, δ_t = r_t + Γ_t V_{t+1} − V_t.

    With λ = 1 they are the returns minus the values, with λ = 0 the temporal differences δ.

    Args:
        reward: (T,) or (…, T, d).
        multiplier: as in `multiplier_returns`; 0 where an episode *terminated*.
        value: V(s_t), of the shape of the rewards.
        next_value: V(s_{t+1}), of the same shape: of the state that the step led to, also where the
            episode was *truncated* there and the next step starts another.
        trace: λ in [0, 1].
        ended: (T,) or (…, T) bool: terminated or truncated here, so that later steps belong to
            another episode; None: never.
        backend: as in `coset.scan.scan`.

    Returns:
        A of the shape of the rewards.

    Raises:
        ShapeError: if the shapes do not fit.
        DtypeError: if an input cannot be read as real numbers, or `ended` is not bool.
        DomainError: if λ is not in [0, 1].
        UnsupportedError: if the inputs lie on different devices, or the backend is unknown.

    Claims: decisions.C15.

    Example:
        >>> value, next_value = [1.0, 2.0, 3.0], [2.0, 3.0, 4.0]
        >>> multiplier_advantages([0.0, 0.0, 1.0], 0.5, value, next_value, trace=1.0)
        tensor([-0.2500, -0.5000,  0.0000], dtype=torch.float64)
    """
    # For mypy no float is a Real, and all that follows would go unchecked.
    given: Any = trace
    if not isinstance(given, Real) or not 0.0 <= trace <= 1.0:
        raise DomainError(f"trace must be a number in [0, 1]; given {trace!r}")
    r, m, _, flat = _prepare(reward, multiplier, None)
    now = _like_reward(value, r, flat, "value")
    after = _like_reward(next_value, r, flat, "next_value")
    delta = r + _apply(m, after) - now
    m = trace * m
    if ended is not None:
        goes_on = ~_mask(ended, r)
        m = m * (goes_on[..., None] if m.dim() <= r.dim() else goes_on[..., None, None]).to(m.dtype)
    nothing = delta.new_zeros((*delta.shape[:-2], delta.shape[-1]))
    advantages = _backward(m, delta, nothing, backend)
    return advantages[..., 0] if flat else advantages


def _backward(m: Tensor, r: Tensor, last: Tensor, backend: str | None) -> Tensor:
    if m.dim() > r.dim():
        return matrix_scan(m, r, last, reverse=True, backend=backend)
    return scan(m, r, last, reverse=True, backend=backend)


def _apply(m: Tensor, value: Tensor) -> Tensor:
    """Return Γ_t v_t of each step."""
    return (m @ value.unsqueeze(-1)).squeeze(-1) if m.dim() > value.dim() else m * value


def _real(x: Any, name: str) -> Tensor:
    try:
        tensor = torch.as_tensor(x)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DtypeError(f"{name} must be real numbers; {error}") from error
    if tensor.is_complex():
        raise DtypeError(f"{name} must be real numbers; given {tensor.dtype}")
    # Lists of Python floats are of double precision, whatever torch's default is.
    exact = isinstance(x, Tensor) or hasattr(x, "dtype")
    keep = exact and tensor.is_floating_point()
    return tensor if keep else torch.as_tensor(x, dtype=torch.float64)


def _prepare(reward: Any, multiplier: Any, bootstrap: Any) -> tuple[Tensor, Tensor, Tensor, bool]:
    """Return (…, T, d) rewards, factors or matrices, the value after the end, and if T is alone."""
    r, m = _real(reward, "reward"), _real(multiplier, "multiplier")
    # A number takes the precision of the rewards.
    b = r.new_zeros(()) if bootstrap is None else _real(bootstrap, "bootstrap")
    dtype = r.dtype
    for name, x, given in (("multiplier", m, multiplier), ("bootstrap", b, bootstrap)):
        if isinstance(given, Tensor) or x.dim():
            dtype = torch.promote_types(dtype, x.dtype)
        _check_device(x, r, name)
    r, m, b = r.to(dtype), m.to(r.device, dtype), b.to(r.device, dtype)
    if r.dim() == 0:
        raise ShapeError("reward must be (T,) or (…, T, d); given one number")
    flat = r.dim() == 1
    if flat:
        if m.dim() > 1 or b.dim() > 0:
            raise ShapeError(
                f"rewards (T,) take a multiplier that is a number or (T,) and a bootstrap that is "
                f"a number; given {tuple(m.shape)} and {tuple(b.shape)}; for several objectives "
                f"give rewards (…, T, d)"
            )
        r, m = r.unsqueeze(-1), m.unsqueeze(-1) if m.dim() else m
    return r, _fit_multiplier(m, r), _fit(b, (*r.shape[:-2], r.shape[-1]), "bootstrap"), flat


def _check_device(x: Tensor, r: Tensor, name: str) -> None:
    if x.device != r.device and x.dim():
        raise UnsupportedError(
            f"{name} must lie on the device of the rewards, {r.device}; it is on {x.device}; "
            f"move it there"
        )


def _fit_multiplier(m: Tensor, r: Tensor) -> Tensor:
    if m.dim() <= r.dim():
        return _fit(m, tuple(r.shape), "multiplier")
    size = r.shape[-1]
    # Sizes of 1 would broadcast here, but one number says too little of several objectives.
    if m.shape[-2:] != (size, size):
        raise ShapeError(
            f"multiplier matrices must be (…, T, {size}, {size}), a row and a column for each "
            f"objective; given {tuple(m.shape)}"
        )
    return _fit(m, (*r.shape, size), "multiplier")


def _fit(x: Tensor, shape: tuple[int, ...], name: str) -> Tensor:
    try:
        return x.expand(shape)
    except RuntimeError:
        raise ShapeError(
            f"{name} must broadcast to {shape}; given {tuple(x.shape)}; the rewards give the shape"
        ) from None


def _like_reward(x: Any, r: Tensor, flat: bool, name: str) -> Tensor:
    value = _real(x, name)
    _check_device(value, r, name)
    value = value.to(r.device, r.dtype)
    return _fit(value.unsqueeze(-1) if flat and value.dim() else value, tuple(r.shape), name)


def _mask(ended: Any, r: Tensor) -> Tensor:
    try:
        mask = torch.as_tensor(ended, device=r.device)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DtypeError(f"ended must be True or False at each step; {error}") from error
    if mask.dtype != torch.bool:
        raise DtypeError(f"ended must be bool; given {mask.dtype}; compare it with 0")
    return _fit(mask, tuple(r.shape[:-1]), "ended")
