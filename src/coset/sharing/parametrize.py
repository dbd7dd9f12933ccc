"""Train with ties that stay: a module's parameter as U free values, each of many weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from coset.core.errors import ConfigError, DtypeError, ShapeError, UnsupportedError
from coset.sharing.penalty import check_weights
from coset.sharing.prox import prox_sharing
from coset.sharing.quantize import QuantizeMethod, quantize_weights
from coset.sharing.tied import TiedTensor, cluster_means

__all__ = ["TiedWeight", "tie", "tied_tensor", "untie"]


class TiedWeight(nn.Module):
    """The parametrization of `tie`: weight = values[index].

    Attributes:
        index: (d,) int32, a buffer: each weight's value.
        num_unique: U.
        shape: of the weight.

    Args:
        tied: where the index, the number of values and the shape come from.
    """

    index: Tensor

    def __init__(self, tied: TiedTensor) -> None:
        super().__init__()
        self.register_buffer("index", tied.index.to(torch.int32))
        self.num_unique, self.shape = tied.num_unique, tied.shape

    def forward(self, values: Tensor) -> Tensor:
        """Return the weight.

        Args:
            values: (U,) float.

        Returns:
            values[index] in `shape`; its gradient is summed over each cluster, in float64.
        """
        # In float64, and back without loss, so that gradients are summed in float64: a cluster may
        # hold millions of weights.
        weight = values.to(torch.float64).index_select(0, self.index).to(values.dtype)
        return weight.reshape(self.shape)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Return the values nearest to a weight that is assigned: the mean of each cluster.

        Args:
            weight: (shape) float.

        Returns:
            (U,) of its dtype; 0 for a value that no weight has.

        Raises:
            DtypeError: if `weight` is not a real floating-point tensor.
            ShapeError: if it has another shape.
        """
        check_weights(weight, "weight")
        if tuple(weight.shape) != self.shape:
            raise ShapeError(
                f"the weight must have shape {self.shape}; given {tuple(weight.shape)}"
            )
        flat = weight.detach().reshape(-1).to(torch.float64)
        means = cluster_means(flat, self.index, self.num_unique)
        is_used = torch.bincount(self.index, minlength=self.num_unique) > 0
        return torch.where(is_used, means, 0.0).to(weight.dtype)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"num_unique={self.num_unique}, shape={tuple(self.shape)}"


def tie(
    module: nn.Module,
    name: str,
    *,
    strength: float | None = None,
    num_unique: int | None = None,
    tied: TiedTensor | None = None,
    method: QuantizeMethod = "kmeans",
) -> TiedTensor:
    """Turn a parameter into U free values that its weights share, and train those.

    weight = values[index] with a fixed index; the gradient of a value is the sum over its weights.
    The ties are, by what is given:

    - nothing: the values that are exactly equal now, as `ProxSharing` leaves them;
    - `strength`: the clusters of ``prox_sharing(weight, strength)``, each at its mean;
    - `num_unique`: at most so many values, see `quantize_weights`;
    - `tied`: these, values included, as `load_tied` reads them.

    The parameter object stays, without its gradient, and becomes the vector of values: make the
    optimizer afterwards, as its buffers would have the old shape, and tie no parameter that another
    module uses as well. In the state dict the key ``name`` is replaced by
    ``parametrizations.name.original`` (values) and ``parametrizations.name.0.index``; to load such
    a state into a fresh module, tie that with ``tied=`` first.

    Args:
        module: the module that owns the parameter; changed in place.
        name: of the parameter, for instance "weight".
        strength: g ≥ 0 of the prox.
        num_unique: U ≥ 1.
        tied: values and index of the parameter's shape and dtype.
        method: "kmeans" or "path", used with `num_unique`.

    Returns:
        The values and the index that were set.

    Raises:
        ConfigError: if the module has no such parameter, it is parametrized already, the module
            uses it under a second name, or two of strength, num_unique and tied are given.
        DtypeError: if the parameter is not real floating-point of 16 bits or more, or `tied` is no
            `TiedTensor` or has another dtype.
        UnsupportedError: if the parameter has no data yet, as those of lazy modules and of modules
            on the meta device.
        ShapeError: if `tied` has another shape.
        DomainError: if a weight is NaN or infinite, or strength or num_unique out of range.

    Complexity: as `quantize_weights`; O(d) for each use of the weight.

    Example:
        >>> layer = torch.nn.Linear(3, 2, bias=False)
        >>> layer.weight.data = torch.tensor([[0.0, 0.1, 5.0], [5.2, 9.0, 0.1]])
        >>> tie(layer, "weight", num_unique=3).num_unique
        3
        >>> layer(torch.eye(3)).sum().backward()
        >>> layer.parametrizations.weight.original.grad
        tensor([3., 2., 1.])
    """
    parameter = _parameter(module, name)
    given = [
        n
        for n, v in (("strength", strength), ("num_unique", num_unique), ("tied", tied))
        if v is not None
    ]
    if len(given) > 1:
        raise ConfigError(
            f"at most one of strength, num_unique and tied may be given; given {', '.join(given)}"
        )
    if tied is None:
        tied = _find_ties(parameter.detach(), strength, num_unique, method)
    elif not isinstance(tied, TiedTensor):
        raise DtypeError(
            f"tied must be a TiedTensor; given {type(tied).__name__}; "
            f"make one with TiedTensor.from_dense(w)"
        )
    elif tied.shape != tuple(parameter.shape):
        raise ShapeError(
            f"tied must have the shape of {name}, {tuple(parameter.shape)}; given {tied.shape}"
        )
    elif tied.values.dtype != parameter.dtype:
        raise DtypeError(
            f"tied must have the dtype of {name}, {parameter.dtype}; given {tied.values.dtype}; "
            f"convert the module first"
        )
    weight = TiedWeight(tied).to(parameter.device)
    parameter.grad = None  # it has the old shape
    parametrize.register_parametrization(module, name, weight)
    with torch.no_grad():
        _values(module, name).copy_(tied.values)  # the mean of equal numbers may round
    return tied


def tied_tensor(module: nn.Module, name: str) -> TiedTensor:
    """Return the values and index of a tied parameter as they are now.

    Args:
        module: the module.
        name: of a parameter that `tie` tied.

    Returns:
        A copy.

    Raises:
        ConfigError: if it is not tied.
        DomainError: if a value has become NaN or infinite.

    Example:
        >>> layer = torch.nn.Linear(2, 2)
        >>> _ = tie(layer, "weight", num_unique=1)
        >>> tied_tensor(layer, "weight").shape
        (2, 2)
    """
    weight = _tied_weight(module, name)
    return TiedTensor(_values(module, name), weight.index, tuple(weight.shape))


def untie(module: nn.Module, name: str) -> None:
    """Make a tied parameter a dense one again, with the values that it has now.

    Args:
        module: the module; changed in place.
        name: of a parameter that `tie` tied.

    Raises:
        ConfigError: if it is not tied.

    Example:
        >>> layer = torch.nn.Linear(2, 2)
        >>> _ = tie(layer, "weight", num_unique=1)
        >>> untie(layer, "weight")
        >>> layer.weight.shape
        torch.Size([2, 2])
    """
    _tied_weight(module, name)
    parametrize.remove_parametrizations(module, name, leave_parametrized=True)
    parameter = module.get_parameter(name)
    if parameter.grad is not None and parameter.grad.shape != parameter.shape:
        parameter.grad = None


def _parameter(module: nn.Module, name: str) -> nn.Parameter:
    if not isinstance(module, nn.Module):
        raise ConfigError(f"module must be a torch.nn.Module; given {type(module).__name__}")
    if parametrize.is_parametrized(module, name):
        raise ConfigError(
            f"{name} must be a plain parameter; it is parametrized already; remove that first "
            f"(if it is tied: untie(module, {name!r}))"
        )
    parameter = module._parameters.get(name)
    if parameter is None:
        known = ", ".join(n for n, p in module._parameters.items() if p is not None) or "none"
        raise ConfigError(
            f"name must be a parameter of the module itself; given {name!r}, known: {known}; for "
            f"one of a submodule pass model.get_submodule(path)"
        )
    check_weights(parameter, name)
    if parameter.is_meta or nn.parameter.is_lazy(parameter):
        raise UnsupportedError(
            f"{name} must have data; it has none yet; run a lazy module once, or give a meta "
            f"module memory with to_empty(device=...) and load its state, and tie then"
        )
    others = [
        n
        for n, other in module.named_parameters(remove_duplicate=False)
        if other is parameter and n != name
    ]
    if others:
        raise ConfigError(
            f"{name} must be used once; the module uses it as {', '.join(others)}, too, which "
            f"would become a vector of values; give each a parameter of its own"
        )
    return parameter


def _find_ties(
    w: Tensor, strength: float | None, num_unique: int | None, method: QuantizeMethod
) -> TiedTensor:
    if num_unique is not None:
        return quantize_weights(w, num_unique, method=method)
    if strength is None:
        return TiedTensor.from_dense(w)
    info = prox_sharing(w, strength, return_info=True)[1]
    return TiedTensor.from_clusters(w, info.index)


def _parametrizations(module: nn.Module, name: str) -> Any:
    """Return the list of a parameter's parametrizations, empty if there are none."""
    if not parametrize.is_parametrized(module, name):
        return ()
    lists: Any = module.parametrizations
    return lists[name]


def _tied_weight(module: nn.Module, name: str) -> TiedWeight:
    found = _parametrizations(module, name)
    if len(found) != 1 or not isinstance(found[0], TiedWeight):
        raise ConfigError(f"{name} must be tied by `tie`, and by nothing else; it is not")
    return found[0]


def _values(module: nn.Module, name: str) -> Tensor:
    original: Tensor = _parametrizations(module, name).original
    return original
