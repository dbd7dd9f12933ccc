"""The sharing groups of a `ProxSharing`: reading, checking, and averaging buffers in clusters."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from coset.core.errors import ConfigError, CosetError, DomainError, ShapeError, UnsupportedError
from coset.sharing.penalty import check_weights, read_number

__all__ = [
    "Mode",
    "Momentum",
    "average_buffers",
    "check_finite",
    "check_members",
    "check_optimizer",
    "check_settings",
    "check_values",
    "deviation",
    "places_of",
    "read_groups",
    "read_settings",
]

Mode = Literal["prox", "dual_averaging"]
Momentum = Literal["keep", "average"]

_DEFAULTS: dict[str, Any] = {
    "strength": 1e-3,
    "l1": 0.0,
    "l1_absolute": False,
    "rewind": 0.0,
    "group": "tensor",
    "kappa": None,
}
_GROUPINGS = ("tensor", "row", "all")

_KAPPA_OF_ANOTHER_MODE = "kappa belongs to mode='dual_averaging'; in mode='prox' set strength"
_IGNORED = "mode='dual_averaging' takes its strength from kappa; remove {}"
_NO_KAPPA = (
    "mode='dual_averaging' needs kappa, the strength in standard deviations of the weights; given "
    "None; collapse is near 1.7, begin with 1.0"
)


def check_settings(
    every: int, mode: str, kappa: float | None, ramp_steps: int, momentum: str
) -> None:
    """Refuse impossible settings of a `ProxSharing`.

    Args:
        every: as given.
        mode: as given.
        kappa: as given.
        ramp_steps: as given.
        momentum: as given.

    Raises:
        ConfigError: if a value is impossible or belongs to another mode.
    """
    if isinstance(every, bool) or not isinstance(every, int) or every < 1:
        raise ConfigError(f"every must be an integer ≥ 1; given {every!r}")
    if mode not in get_args(Mode):
        raise ConfigError(f"mode must be one of {get_args(Mode)}; given {mode!r}")
    if momentum not in get_args(Momentum):
        raise ConfigError(f"momentum must be one of {get_args(Momentum)}; given {momentum!r}")
    if not isinstance(ramp_steps, int) or ramp_steps < 0:
        raise ConfigError(f"ramp_steps must be an integer ≥ 0; given {ramp_steps!r}")
    if mode == "prox" and (kappa is not None or ramp_steps):
        raise ConfigError(
            "kappa and ramp_steps belong to mode='dual_averaging'; in mode='prox' set strength"
        )


def check_optimizer(optimizer: object) -> None:
    """Refuse what is not a torch optimizer.

    Args:
        optimizer: as given.

    Raises:
        ConfigError: if it has no parameter groups.
    """
    if not isinstance(getattr(optimizer, "param_groups", None), list):
        raise ConfigError(
            f"optimizer must be a torch.optim.Optimizer; given {type(optimizer).__name__}; "
            f"write ProxSharing(torch.optim.SGD(model.parameters(), lr=0.1), groups)"
        )


def read_groups(
    groups: Sequence[Mapping[str, Any]], mode: Mode, kappa: float | None
) -> list[dict[str, Any]]:
    """Return the groups with every key, checked.

    Args:
        groups: as given to `ProxSharing`.
        mode: its mode.
        kappa: its kappa, for groups without their own.

    Returns:
        One new dictionary a group; ``params`` is a list.

    Raises:
        ConfigError: if there are no groups, a key is unknown or a value is impossible.
        DtypeError: if a parameter is not real floating-point.
        ShapeError: if a vector is to be shared by rows.
        UnsupportedError: if a parameter is sharded, or a key does not fit the mode.
    """
    if isinstance(groups, (Mapping, Tensor, str)) or not isinstance(groups, Iterable):
        raise ConfigError(
            f"groups must be a sequence of dictionaries; given {type(groups).__name__}; "
            f"write groups=[dict(params=model.layer.weight, strength=1e-3)]"
        )
    listed = list(groups)
    if not listed:
        raise ConfigError(
            "groups must hold at least one group; given none; "
            "write groups=[dict(params=model.layer.weight, strength=1e-3)]"
        )
    return [_read_group(given, mode, kappa) for given in listed]


def _read_group(given: Mapping[str, Any], mode: Mode, kappa: float | None) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise ConfigError(
            f"each of groups must be a dictionary; given {type(given).__name__}; "
            f"write groups=[dict(params=model.layer.weight, strength=1e-3)]"
        )
    if unknown := sorted(map(str, set(given) - {"params", *_DEFAULTS})):
        raise ConfigError(
            f"a group's keys must be among params, {', '.join(_DEFAULTS)}; "
            f"given {', '.join(unknown)}"
        )
    params = given.get("params", ())
    if not isinstance(params, Iterable):
        raise ConfigError(
            f"params must be a tensor or a sequence of tensors; given {params!r} of type "
            f"{type(params).__name__}"
        )
    params = [params] if isinstance(params, Tensor) else list(params)
    if not params:
        raise ConfigError("a group must hold at least one parameter; given an empty `params`")
    group = {"params": params, **_DEFAULTS, **{k: v for k, v in given.items() if k != "params"}}
    if mode == "dual_averaging":
        if ignored := sorted({"strength", "l1", "l1_absolute"} & set(given)):
            raise UnsupportedError(_IGNORED.format(", ".join(ignored)))
        group["strength"] = 0.0
        group["kappa"] = kappa if group["kappa"] is None else group["kappa"]
    settings = {name: group[name] for name in _DEFAULTS}
    return {"params": params, **read_settings(settings, params, mode)}


def read_settings(given: Any, params: Sequence[Tensor], mode: Mode) -> dict[str, Any]:
    """Return a group's settings, checked, with plain floats for its numbers.

    Args:
        given: all settings of a group, without its ``params``.
        params: its parameters.
        mode: of its `ProxSharing`.

    Returns:
        A new dictionary.

    Raises:
        ConfigError: if a key is missing or unknown, or a value is impossible.
        DtypeError: as `check_values`.
        ShapeError: as `check_values`.
        UnsupportedError: as `check_values`.
    """
    if not isinstance(given, Mapping) or set(given) != set(_DEFAULTS):
        found = ", ".join(map(str, given)) if isinstance(given, Mapping) else repr(given)
        raise ConfigError(f"a group's settings must be {', '.join(_DEFAULTS)}; given {found}")
    check_values({"params": params, **given}, mode)
    settings = dict(given)
    for name in ("strength", "l1", "kappa", "rewind"):
        settings[name] = None if settings[name] is None else _setting(settings, name)
    return settings


def _setting(group: Mapping[str, Any], name: str) -> float:
    try:
        return read_number(group[name], name)
    except CosetError as error:
        raise ConfigError(str(error)) from error


def check_values(group: Mapping[str, Any], mode: Mode) -> None:
    """Refuse impossible values of a group's settings.

    Args:
        group: from `read_groups`; its settings may have been changed since.
        mode: of its `ProxSharing`.

    Raises:
        ConfigError: if strength, l1, kappa, rewind or group is impossible.
        DtypeError: if a parameter is not real floating-point.
        ShapeError: if a vector is to be shared by rows.
        UnsupportedError: if a parameter is sharded or sparse, or the mode ignores the setting.
    """
    if missing := [name for name in ("params", *_DEFAULTS) if name not in group]:
        raise ConfigError(f"a group must keep all of its keys; {', '.join(missing)} is missing")
    for name in ("strength", "l1", "kappa"):
        value = group[name]
        if name == "kappa" and mode == "prox":
            if value is not None:
                raise ConfigError(_KAPPA_OF_ANOTHER_MODE)
            continue
        if name == "kappa" and value is None:
            raise ConfigError(_NO_KAPPA)
        number = _setting(group, name)
        if not (math.isfinite(number) and number >= 0):
            raise ConfigError(f"{name} must be a finite number ≥ 0; given {value!r}")
        if name != "kappa" and mode == "dual_averaging" and number > 0:
            raise UnsupportedError(_IGNORED.format(name))
    if not 0 <= _setting(group, "rewind") <= 1:
        raise ConfigError(f"rewind must lie in [0, 1]; given {group['rewind']!r}")
    if group["group"] not in _GROUPINGS:
        raise ConfigError(f"group must be one of {_GROUPINGS}; given {group['group']!r}")
    for p in group["params"]:
        _check_parameter(p, group["group"])
    if group["group"] == "all" and len({(p.dtype, p.device) for p in group["params"]}) > 1:
        raise ConfigError("the parameters of a group 'all' must have one dtype and one device")


def _check_parameter(p: object, grouping: str) -> None:
    if not isinstance(p, Tensor):
        raise ConfigError(f"params must hold tensors; given {type(p).__name__}")
    # A sharded tensor can exist only if its module was imported; importing it here costs a second.
    for module, name in (
        ("torch.distributed.tensor", "DTensor"),
        ("torch.distributed.fsdp._flat_param", "FlatParameter"),
    ):
        kind = getattr(sys.modules.get(module), name, None)
        if kind is not None and isinstance(p, kind):
            raise UnsupportedError(
                f"weight sharing needs all weights of a group in one process; given a {name} of "
                f"shape {tuple(p.shape)}; replicate this parameter (DDP) or gather it first"
            )
    check_weights(p, "each of params")
    if grouping == "row" and p.ndim < 2:
        raise ShapeError(f"group='row' needs at least 2 dimensions; given shape {tuple(p.shape)}")


def places_of(optimizer: torch.optim.Optimizer) -> dict[int, int]:
    """Map each parameter's identity to the index of its torch parameter group.

    Indices stay right when the optimizer replaces its groups on loading a state.

    Args:
        optimizer: the wrapped optimizer.

    Returns:
        ``id(parameter)`` → index in ``optimizer.param_groups``.
    """
    return {id(p): i for i, group in enumerate(optimizer.param_groups) for p in group["params"]}


def check_members(groups: Iterable[Mapping[str, Any]], places: Mapping[int, int]) -> None:
    """Refuse parameters that the optimizer does not hold, or that two groups hold.

    Args:
        groups: from `read_groups`.
        places: from `places_of`.

    Raises:
        ConfigError: naming the group and the parameter's shape.
    """
    seen: dict[int, int] = {}
    for i, group in enumerate(groups):
        for p in group["params"]:
            if id(p) not in places:
                raise ConfigError(
                    f"each parameter must be one that the optimizer updates; group {i} holds a "
                    f"tensor of shape {tuple(p.shape)} that is not; pass the parameter itself, "
                    f"after moving the model to its device"
                )
            if id(p) in seen:
                raise ConfigError(
                    f"each parameter may be in one group; a tensor of shape {tuple(p.shape)} is "
                    f"in group {seen[id(p)]} and in group {i}"
                )
            seen[id(p)] = i


def check_finite(w: Tensor, what: str) -> None:
    """Refuse NaN and infinity.

    Args:
        w: dense, real floating-point.
        what: what to call it.

    Raises:
        DomainError: naming the tensor, its shape, and the first place.
    """
    # NaN is passed on by both ends, so that two numbers tell, without a mask as large as `w`.
    if not w.numel() or all(bool(torch.isfinite(end)) for end in torch.aminmax(w)):
        return
    place = tuple((~torch.isfinite(w)).nonzero()[0].tolist())
    raise DomainError(
        f"weights must be finite; {what} of shape {tuple(w.shape)} holds {float(w[place])} at "
        f"index {place}; no weight was changed by this step; restore the weights first"
    )


def deviation(w: Tensor, dim: int | None = None, *, correction: int = 0) -> Tensor:
    """Return the standard deviation in float64, without overflow on the way.

    Args:
        w: finite.
        dim: the dimension of each group; None: the whole tensor.
        correction: 0 for the population's, 1 for the unbiased variance.

    Returns:
        () float64, or the shape of `w` without `dim`; 0 for empty groups; inf only if it exceeds
        float64.
    """
    wide = w.to(torch.float64)
    wide = wide.reshape(1, -1) if dim is None else wide.movedim(dim, -1)
    if wide.shape[-1] <= correction:
        found = wide.new_zeros(wide.shape[:-1])
    else:
        # Squares of very large and very small numbers leave float64; powers of two are exact.
        largest = wide.abs().amax(-1, keepdim=True)
        scale = torch.ones_like(largest)
        scale = scale.masked_fill(largest >= 2.0**400, 2.0**-600)
        scale = scale.masked_fill(largest <= 2.0**-400, 2.0**600)
        found = (wide * scale).std(dim=-1, correction=correction) / scale.squeeze(-1)
    return found.squeeze(0) if dim is None else found


def average_buffers(
    optimizer: torch.optim.Optimizer, params: Sequence[Tensor], index: Tensor
) -> None:
    """Replace the optimizer's per-weight buffers by their means inside each cluster.

    Args:
        optimizer: the wrapped optimizer.
        params: parameters that were shared together.
        index: int64, one cluster number for each of their weights, in order.
    """
    labels = index.reshape(-1)
    count = int(labels.max()) + 1
    masses = torch.bincount(labels, minlength=count).to(torch.float64)
    names = {
        name
        for p in params
        for name, value in optimizer.state.get(p, {}).items()
        if isinstance(value, Tensor) and value.shape == p.shape and p.ndim
    }
    for name in sorted(names):
        buffers = [optimizer.state[p].get(name) for p in params]
        if any(buffer is None for buffer in buffers):
            continue
        flat = torch.cat([buffer.reshape(-1) for buffer in buffers]).to(torch.float64)
        sums = torch.zeros(count, dtype=torch.float64, device=flat.device).index_add_(
            0, labels, flat
        )
        parts = torch.split((sums / masses)[labels], [p.numel() for p in params])
        for buffer, part in zip(buffers, parts, strict=True):
            buffer.copy_(part.reshape(buffer.shape))
