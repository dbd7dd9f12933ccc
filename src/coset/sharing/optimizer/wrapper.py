"""`ProxSharing`: the proximal step of weight sharing after any PyTorch optimizer's own step.

Differences from a subgradient penalty in the loss: the proximal map makes weights exactly equal. It
is Euclidean and decoupled, as AdamW's decay: an adaptive optimizer's per-coordinate metric is left
out on purpose, since the sorted form needs equal curvature.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from coset.core.errors import ConfigError
from coset.sharing.optimizer.groups import (
    Mode,
    Momentum,
    average_buffers,
    check_finite,
    check_members,
    check_optimizer,
    check_settings,
    check_values,
    deviation,
    places_of,
    read_groups,
)
from coset.sharing.optimizer.state import STATE_VERSION, read_state
from coset.sharing.prox import prox_sharing

__all__ = ["ProxSharing"]

# New values of some parameters, and their clusters if buffers are to be averaged.
_Change = tuple[list[Tensor], list[Tensor], Tensor | None]


class ProxSharing:
    """Apply w ← prox_{lr·λ·R}(w) to chosen parameters after each optimizer step.

    The strength of a step is the *current* learning rate of the torch parameter group that holds
    the parameter, times the sharing group's ``strength`` λ; a learning-rate schedule therefore acts
    on the proximal step too. With ``every=k`` the strengths of k steps are summed and applied at
    once; for fixed weights and no L1 that is the same map (the semigroup property, sharing.C7).

    ``mode="dual_averaging"`` [derived] keeps the optimizer's own iterate z (its steps are added to
    z, while gradients are taken at w) and sets w = prox_{κ_t·std(z)·R}(z). Gradient noise averages
    out in z and ties re-form from z at every step, so that they survive training. κ_t rises
    linearly from 0 to κ over ``ramp_steps`` steps. The learning rate does not enter the strength.

    Args:
        optimizer: any ``torch.optim.Optimizer``.
        groups: one dictionary a sharing group, with the keys

            - ``params``: a tensor or tensors, each held by the optimizer, each in one group only;
            - ``strength``: λ ≥ 0, default 1e-3 (mode "prox");
            - ``l1``: λ₁ ≥ 0 of an L1 penalty applied in the same pass, default 0 (mode "prox");
            - ``l1_absolute``: do not multiply ``l1`` by the learning rate, as the authors' code;
            - ``rewind``: ρ in [0, 1]: find clusters at full strength, move 1 − ρ of the way;
            - ``group``: what shares: "tensor" (each parameter by itself), "row" (each slice along
              the first dimension by itself) or "all" (the parameters of the group together);
            - ``kappa``: κ ≥ 0, overrides the constructor's (mode "dual_averaging").
        every: apply the proximal map at each `every`-th step.
        mode: "prox" or "dual_averaging".
        kappa: strength in standard deviations of z (mode "dual_averaging").
        ramp_steps: steps over which κ_t rises to κ; 0 gives κ from the start.
        momentum: "average" also averages the optimizer's buffers of the parameter's shape
            (momentum, Adam's moments) inside each cluster, which keeps clusters from tearing.

    Attributes:
        param_groups: the sharing groups; settings may be changed between steps.

    Raises:
        ConfigError: if there are no groups, a key is unknown, a value is impossible or of a wrong
            type, a parameter is not in the optimizer or is in two groups.
        DtypeError: if a parameter is not real floating-point of 16 bits or more.
        UnsupportedError: if a parameter is sharded (DTensor, FSDP): the map needs the whole group.
            Replicated parameters (DDP) are fine.

    Claims: sharing.C7.

    Example:
        >>> w = torch.nn.Parameter(torch.tensor([3.0, 1.0, 2.0]))
        >>> optimizer = torch.optim.SGD([w], lr=0.5)
        >>> sharing = ProxSharing(optimizer, [dict(params=w, strength=0.5)])
        >>> sharing.step()  # strength 0.5 · 0.5 = 1/4
        >>> w.tolist()
        [2.75, 1.25, 2.0]
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        groups: Sequence[Mapping[str, Any]],
        *,
        every: int = 1,
        mode: Mode = "prox",
        kappa: float | None = None,
        ramp_steps: int = 0,
        momentum: Momentum = "keep",
    ) -> None:
        check_optimizer(optimizer)
        check_settings(every, mode, kappa, ramp_steps, momentum)
        self.optimizer = optimizer
        self.every, self.mode, self.ramp_steps = every, mode, ramp_steps
        self.momentum = momentum
        self.param_groups = read_groups(groups, mode, kappa)
        places = places_of(optimizer)
        check_members(self.param_groups, places)
        self._places = [[places[id(p)] for p in group["params"]] for group in self.param_groups]
        self._summed_lr = [[0.0 for _ in group["params"]] for group in self.param_groups]
        self._num_steps = 0
        self._handle: RemovableHandle | None = None
        # Dual averaging: the optimizer's own iterate, and the weights that were last shown for it.
        self._iterates: list[list[tuple[Tensor, Tensor]]] = []
        if mode == "dual_averaging":
            self._iterates = [
                [(p.detach().clone(), p.detach().clone()) for p in group["params"]]
                for group in self.param_groups
            ]

    @torch.no_grad()
    def step(self) -> None:
        """Apply the proximal map; call it after ``optimizer.step()``.

        All or nothing: if it raises, weights, buffers and counters are as before.

        Raises:
            DomainError: if a weight is NaN or infinite, at any strength, or a learning rate is
                negative.
            ConfigError: if the parameters of a group "all" have different learning rates, or a
                setting was changed to an impossible value.
            UnsupportedError: if a setting was changed that the mode ignores.

        Complexity: O(d log d) time for a group of d weights; the new weights of all groups are
        held in memory until every one is computed.
        """
        num_steps = self._num_steps + 1
        summed = [
            [
                lr + float(self.optimizer.param_groups[place]["lr"])
                for lr, place in zip(sums, places, strict=True)
            ]
            for sums, places in zip(self._summed_lr, self._places, strict=True)
        ]
        if num_steps % self.every == 0:
            self._apply(summed, num_steps)
            summed = [[0.0] * len(sums) for sums in summed]
        self._num_steps, self._summed_lr = num_steps, summed

    def attach(self) -> RemovableHandle:
        """Run `step` after each ``optimizer.step()`` by itself.

        A step that a gradient scaler skips is skipped here too.

        Returns:
            A handle; ``handle.remove()`` detaches.

        Raises:
            ConfigError: if it is attached already.
        """
        if self._handle is not None and self._handle.id in (self._handle.hooks_dict_ref() or {}):
            raise ConfigError(
                "a ProxSharing may be attached once (the map would be applied twice a step); "
                "it is attached already; call remove() on the first handle"
            )
        self._handle = self.optimizer.register_step_post_hook(lambda *_: self.step())
        return self._handle

    def _apply(self, summed: list[list[float]], num_steps: int) -> None:
        """Check every weight, compute every new value, and only then write them."""
        for i, group in enumerate(self.param_groups):
            check_values(group, self.mode)
            for j, p in enumerate(group["params"]):
                check_finite(p, f"params[{j}] of sharing group {i}")
        sources = [self._sources(i, group) for i, group in enumerate(self.param_groups)]
        changes: list[_Change] = []
        for group, lrs, tensors in zip(self.param_groups, summed, sources, strict=True):
            ramp = min(1.0, num_steps / self.ramp_steps) if self.ramp_steps else 1.0
            if group["group"] == "all":
                changes.append(self._share_together(group, lrs, tensors, ramp))
                continue
            for p, lr, source in zip(group["params"], lrs, tensors, strict=True):
                w = source.reshape(source.shape[0], -1) if group["group"] == "row" else source
                values, labels = self._prox(group, lr, w, ramp)
                changes.append(([p], [values], labels))
        for params, parts, labels in changes:
            for p, part in zip(params, parts, strict=True):
                p.copy_(part.reshape(p.shape))
            if labels is not None:
                average_buffers(self.optimizer, params, labels)
        for pairs, tensors, group in zip(self._iterates, sources, self.param_groups, strict=False):
            for (z, shown), source, p in zip(pairs, tensors, group["params"], strict=True):
                z.copy_(source)
                shown.copy_(p)

    def _sources(self, i: int, group: dict[str, Any]) -> list[Tensor]:
        """Return what the map is applied to: the weights, or the optimizer's own iterate."""
        params: list[Tensor] = group["params"]
        if self.mode == "prox":
            return params
        moved = [z + (p - shown) for p, (z, shown) in zip(params, self._iterates[i], strict=True)]
        for j, z in enumerate(moved):
            check_finite(z, f"the optimizer's iterate of params[{j}] of sharing group {i}")
        return moved

    def _share_together(
        self, group: dict[str, Any], lrs: list[float], sources: list[Tensor], ramp: float
    ) -> _Change:
        if self.mode == "prox" and len(set(lrs)) > 1:
            raise ConfigError(
                f"the parameters of a group 'all' must have one learning rate; summed over the "
                f"last {self.every} steps theirs are {lrs}; put them into one torch "
                f"parameter group or share them one tensor at a time"
            )
        w = torch.cat([source.reshape(-1) for source in sources])
        values, labels = self._prox(group, lrs[0], w, ramp)
        parts = torch.split(values.reshape(-1), [p.numel() for p in group["params"]])
        return group["params"], list(parts), labels

    def _prox(
        self, group: dict[str, Any], lr: float, w: Tensor, ramp: float
    ) -> tuple[Tensor, Tensor | None]:
        """Return the proximal map of `w`, and the clusters if buffers are to be averaged."""
        dim = -1 if group["group"] == "row" else None
        strength, l1 = self._strengths(group, lr, w, dim, ramp)
        zero = not torch.as_tensor(strength).any()
        if zero and l1 == 0.0:
            return w, None
        options = {"l1": l1, "rewind": group["rewind"], "dim": dim}
        if zero or self.momentum == "keep":
            return prox_sharing(w, strength, **options), None
        values, info = prox_sharing(w, strength, return_info=True, **options)
        labels = info.index.to(torch.int64)
        if dim is not None:  # clusters are counted in each row
            labels = labels + (info.counts.cumsum(0) - info.counts)[:, None]
        return values, labels

    def _strengths(
        self, group: dict[str, Any], lr: float, w: Tensor, dim: int | None, ramp: float
    ) -> tuple[float | Tensor, float]:
        if self.mode == "prox":
            scale = self.every if group["l1_absolute"] else lr
            return lr * group["strength"], scale * group["l1"]
        if ramp * group["kappa"] == 0:
            return 0.0, 0.0
        return ramp * group["kappa"] * deviation(w, dim), 0.0

    def state_dict(self) -> dict[str, Any]:
        """Return all that is needed to continue, as tensors and plain containers.

        Returns:
            A dictionary; the parameters themselves are in the model's and optimizer's.
        """
        settings = [
            {k: v for k, v in group.items() if k != "params"} for group in self.param_groups
        ]
        return {
            "version": STATE_VERSION,
            "mode": self.mode,
            "num_steps": self._num_steps,
            "summed_lr": [list(values) for values in self._summed_lr],
            "param_groups": settings,
            "iterates": [
                [{"z": z.clone(), "shown": shown.clone()} for z, shown in pairs]
                for pairs in self._iterates
            ],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state_dict` of a ProxSharing with the same groups.

        All or nothing: if it raises, this object is as before.

        Args:
            state: what `state_dict` returned; it is copied.

        Raises:
            ConfigError: if its version, mode, groups or shapes are not those of this object, or it
                is not such a state at all.
        """
        loaded = read_state(state, self.mode, self.param_groups, self._iterates)
        for group, settings in zip(self.param_groups, loaded.settings, strict=True):
            group.update(settings)
        self._num_steps, self._summed_lr = loaded.num_steps, loaded.summed_lr
        self._iterates = loaded.iterates

    def __repr__(self) -> str:
        """Return mode and groups in one line each."""
        lines = [f"ProxSharing(mode={self.mode!r}, every={self.every}, momentum={self.momentum!r}"]
        for group in self.param_groups:
            count = sum(p.numel() for p in group["params"])
            settings = ", ".join(f"{k}={v!r}" for k, v in group.items() if k != "params")
            lines.append(f"  {count} weights: {settings}")
        return "\n".join(lines) + "\n)"
