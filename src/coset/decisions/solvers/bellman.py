"""The Bellman operator of one level, fused: gather, sum, best action, extremes of the change."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from coset.core.backends import (
    Backend,
    always,
    chosen_backend,
    register_backend,
    requires_module,
    use_backend,
)
from coset.core.errors import DomainError, DtypeError, RangeError, ShapeError, UnsupportedError
from coset.decisions.processes.level import BLOCK, ScalarLevel

__all__ = ["action_values", "greedy", "policy_sweep", "sweep"]

OPERATOR = "decisions.sweep"

register_backend(
    Backend(
        OPERATOR,
        "numba",
        "cpu",
        requires_module("numba", "install it with: pip install numba"),
        "one pass: gathers, sums, best action and extremes; states in shares for threads",
    )
)
register_backend(
    Backend(
        OPERATOR,
        "triton",
        "cuda",
        requires_module("triton", "install it with: pip install triton"),
        "one program for a block of states with all actions; successors unrolled",
    )
)
for _device in ("cpu", "cuda"):
    register_backend(Backend(OPERATOR, "eager", _device, always, "whole-tensor operations, blocks"))


def resolve_backend(backend: str, device: torch.device) -> str:
    """Return the implementation to be used on a device.

    Args:
        backend: "auto", "numba", "triton" or "eager".
        device: where the level lies; on others than CPU and CUDA "auto" is "eager".

    Returns:
        The name.

    Raises:
        UnknownNameError: if there is no such implementation on that device.
        UnavailableError: if it cannot be used here.
        UnsupportedError: if the device needs tensor operations and the backend is another.
    """
    if device.type not in ("cpu", "cuda"):
        if backend not in ("auto", "eager"):
            raise UnsupportedError(
                f"backend {backend!r} runs on cpu or cuda; given a level on {device}; use 'eager'"
            )
        return "eager"
    if backend == "auto":
        return chosen_backend(OPERATOR, device.type)
    with use_backend(OPERATOR, backend):
        return chosen_backend(OPERATOR, device.type)


def checked_value(level: ScalarLevel, value: Tensor, name: str = "value") -> Tensor:
    """Return a contiguous vector of one number a state, or say what is wrong.

    Args:
        level: the problem.
        value: (S,) float32 or float64, on the device of the level.
        name: what the message calls it.

    Returns:
        The vector, detached.

    Raises:
        ShapeError: if it is not one number a state.
        DtypeError: if it is neither float32 nor float64.
        UnsupportedError: if it lies on another device.
    """
    value = torch.as_tensor(value)
    if value.shape != (level.num_states,):
        raise ShapeError(
            f"{name} must be one number a state, ({level.num_states},); given {tuple(value.shape)}"
        )
    if value.dtype not in (torch.float32, torch.float64):
        raise DtypeError(f"{name} must be float32 or float64; given {value.dtype}; convert it")
    if value.device != level.successor.device:
        raise UnsupportedError(
            f"{name} must lie where the level does, on {level.successor.device}; "
            f"given one on {value.device}; move it"
        )
    return value.detach().contiguous()


def sweep(
    level: ScalarLevel, value: Tensor, out: Tensor | None = None, backend: str = "auto"
) -> tuple[Tensor, float, float]:
    """Apply the Bellman operator once: (TV)(s) = max over allowed a of r + c Σ_k w V(succ).

    Sums are float64 whatever the dtype of the values, but in the Triton kernel, where they are of
    that dtype. States without an allowed action get 0.

    Args:
        level: the problem.
        value: (S,) float32 or float64, V.
        out: (S,) of the dtype of `value`, another memory, to be written; allocated by default.
        backend: "auto", "numba", "triton" or "eager".

    Returns:
        TV, and the least and the greatest of TV − V over states with an allowed action (0 and 0 if
        there is none).

    Raises:
        ShapeError: if a vector is not one number a state.
        DtypeError: if a vector is neither float32 nor float64, or the two differ.
        DomainError: if a value is NaN or infinite, or `out` is the memory of `value`.
        UnsupportedError: if a vector lies on another device.

    Complexity: S A K gathers, 8 S A K bytes of indices and float32 weights.

    Examples:
        >>> one = torch.ones(2, 1, dtype=torch.float64)
        >>> level = ScalarLevel(
        ...     torch.tensor([[[1]], [[0]]], dtype=torch.int32), one[..., None], one, one > 0, 0.5
        ... )
        >>> sweep(level, torch.tensor([0.0, 4.0], dtype=torch.float64))
        (tensor([3., 1.], dtype=torch.float64), -3.0, 3.0)
    """
    value = checked_value(level, value)
    _check_finite(value)
    if out is None:
        out = torch.empty_like(value)
    else:
        checked_value(level, out, "out")
        if out.dtype != value.dtype or not out.is_contiguous():
            raise DtypeError(
                f"out must be contiguous and of the dtype of value, {value.dtype}; "
                f"given {out.dtype}, contiguous: {out.is_contiguous()}"
            )
        if out.untyped_storage().data_ptr() == value.untyped_storage().data_ptr():
            raise DomainError(
                "out must be another memory than value, which is read while out is written; "
                "given the same; leave out away, or swap two vectors"
            )
    if level.num_states == 0:
        return out, 0.0, 0.0
    chosen = resolve_backend(backend, value.device)
    if chosen == "numba":
        from coset.decisions.kernels.launch import LevelArrays

        low, high, *_ = LevelArrays(level).improve(value, out)
        return out, low, high
    if chosen == "triton":
        return _triton_sweep(level, value, out)
    return _eager_sweep(level, value, out)


def _triton_sweep(level: ScalarLevel, value: Tensor, out: Tensor) -> tuple[Tensor, float, float]:
    from coset.decisions.kernels.cuda import sweep_triton

    successor, weight = level.successor.contiguous(), level.weight.detach().contiguous()
    reward, allowed = level.reward.detach().contiguous(), level.allowed.contiguous()
    low, high = sweep_triton(
        successor, weight, reward[..., None], allowed, level.scale, value[:, None], out[:, None]
    )
    extremes = torch.stack([low, high]).tolist()
    return out, extremes[0][0], extremes[1][0]


def _check_finite(value: Tensor) -> None:
    """Refuse NaN and infinity: a maximum would pass over the one and keep the other."""
    # The sum of finite numbers overflows at most; then all are looked at.
    if not math.isfinite(float(value.sum())) and not bool((good := torch.isfinite(value)).all()):
        state = int((~good).nonzero()[0])
        raise DomainError(
            f"values must be finite; state {state} has {float(value[state])}; start from finite "
            f"ones, and see transience for levels whose values grow without bound"
        )


def action_values(level: ScalarLevel, value: Tensor, backend: str = "auto") -> Tensor:
    """Return Q(s, a) = r(s, a) + c Σ_k w V(succ), −inf where the action is not allowed.

    Args:
        level: the problem.
        value: (S,) float32 or float64, V.
        backend: "auto", "numba" or "eager".

    Returns:
        (S, A) float64.

    Raises:
        ShapeError: if the value is not one number a state.
        DtypeError: if it is neither float32 nor float64.
        DomainError: if a value is NaN or infinite.
        UnsupportedError: if it lies on another device.

    Complexity: S A K gathers.
    """
    value = checked_value(level, value)
    _check_finite(value)
    if resolve_backend(backend, value.device) != "numba":
        return level.action_values(value.double())
    from coset.decisions.kernels.launch import LevelArrays

    out = torch.empty(level.allowed.shape, dtype=torch.float64)
    LevelArrays(level).action_values(value, out)
    return out


def _eager_sweep(level: ScalarLevel, value: Tensor, out: Tensor) -> tuple[Tensor, float, float]:
    out.copy_(level.backup(value.double()))
    change = (out.double() - value.double())[level.active]
    if change.numel() == 0:
        return out, 0.0, 0.0
    return out, float(change.min()), float(change.max())


def greedy(level: ScalarLevel, value: Tensor, backend: str = "auto") -> Tensor:
    """Return the first best action of each state, argmax over allowed a of r + c Σ_k w V(succ).

    Args:
        level: the problem.
        value: (S,) float32 or float64, V.
        backend: "auto", "numba" or "eager".

    Returns:
        (S,) int64, −1 at states without an allowed action. Ties go to the lowest action.

    Raises:
        ShapeError: if the value is not one number a state.
        DtypeError: if it is neither float32 nor float64.
        DomainError: if a value is NaN or infinite.
        UnsupportedError: if it lies on another device.
    """
    value = checked_value(level, value)
    _check_finite(value)
    if level.num_states == 0:
        return torch.empty(0, dtype=torch.int64, device=value.device)
    if resolve_backend(backend, value.device) == "numba":
        from coset.decisions.kernels.launch import LevelArrays

        policy = torch.empty(level.num_states, dtype=torch.int32)
        LevelArrays(level).choose(value, policy)
        return policy.long()
    choice = level.action_values(value.double()).argmax(1)
    return choice.masked_fill(~level.active, -1)


def policy_sweep(
    level: ScalarLevel, policy: Tensor, value: Tensor, num: int = 1, backend: str = "auto"
) -> tuple[Tensor, float, float]:
    """Apply the operator of one policy `num` times: (T_π V)(s) = r(s, π) + c Σ_k w V(succ).

    Args:
        level: the problem.
        policy: (S,) integers: an action, or −1 where the process has ended.
        value: (S,) float32 or float64, V.
        num: how often, ≥ 1.
        backend: "auto", "numba" or "eager".

    Returns:
        T_π^num V, and the least and greatest change of the last application over states with an
        action.

    Raises:
        ShapeError: if policy or value are not one number a state.
        DtypeError: if the policy is not of integers or the value not float32 or float64.
        RangeError: if the policy names an action that does not exist, or num < 1.
        DomainError: if a value is NaN or infinite.
        UnsupportedError: if a vector lies on another device.

    Complexity: num S K gathers.
    """
    value = checked_value(level, value)
    _check_finite(value)
    policy = _checked_policy(level, torch.as_tensor(policy))
    if num < 1:
        raise RangeError(f"a policy must be applied at least once; given num={num}")
    low = high = 0.0
    if level.num_states == 0:
        return value.clone(), low, high
    if resolve_backend(backend, value.device) == "numba":
        from coset.decisions.kernels.launch import LevelArrays

        arrays, source, target = LevelArrays(level), value, torch.empty_like(value)
        spare = torch.empty_like(value) if num > 1 else target
        for _ in range(num):
            low, high, _ = arrays.evaluate(policy, source, target)
            source, target = target, spare if source is value else source
        return source, low, high
    for _ in range(num):
        before, value = value, _eager_policy_sweep(level, policy, value)
        change = (value.double() - before.double())[policy >= 0]
        low, high = (float(change.min()), float(change.max())) if change.numel() else (0.0, 0.0)
    return value, low, high


def _checked_policy(level: ScalarLevel, policy: Tensor) -> Tensor:
    if policy.shape != (level.num_states,):
        raise ShapeError(
            f"a policy must be one action a state, ({level.num_states},); "
            f"given {tuple(policy.shape)}"
        )
    if policy.dtype.is_floating_point or policy.dtype == torch.bool or policy.is_complex():
        raise DtypeError(f"a policy must hold integers; given {policy.dtype}")
    if policy.device != level.successor.device:
        raise UnsupportedError(
            f"the policy must lie where the level does, on {level.successor.device}; "
            f"given one on {policy.device}; move it"
        )
    wrong = (policy < -1) | (policy >= level.num_actions)
    if bool(wrong.any()):
        state = int(wrong.nonzero()[0])
        raise RangeError(
            f"an action must be one of 0…{level.num_actions - 1}, or −1 where there is none; "
            f"state {state} has {int(policy[state])}"
        )
    return policy.detach().to(torch.int32).contiguous()


def _eager_policy_sweep(level: ScalarLevel, policy: Tensor, value: Tensor) -> Tensor:
    out = torch.empty_like(value)
    for start in range(0, level.num_states, BLOCK):
        rows = slice(start, start + BLOCK)
        action = policy[rows].long().clamp(min=0)
        state = torch.arange(len(action), device=value.device)
        gathered = value.double()[level.successor[rows][state, action].long()]
        moved = (level.weight[rows][state, action] * gathered).sum(-1)
        q = level.reward[rows][state, action] + level.scale * moved
        out[rows] = torch.where(policy[rows] >= 0, q, 0.0).to(value.dtype)
    return out
