"""Networks for several objectives in order: action values with a head each, actor and critic."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from coset.core.errors import DomainError, DtypeError, ShapeError
from coset.decisions.learn.selection import checked_slack, eliminate

__all__ = ["LexicographicActorCritic", "LexicographicQNetwork"]


class _Network(nn.Module):
    """What both networks share: how observations are read, and how they are stored."""

    file_class: str

    def __init__(
        self,
        num_inputs: int,
        num_actions: int,
        num_objectives: int,
        *,
        hidden: Sequence[int] = (64, 64),
        discrete: bool = False,
        value_scale: Sequence[float] | float = 1.0,
    ) -> None:
        super().__init__()
        if isinstance(hidden, int) or not isinstance(hidden, Sequence):
            raise DtypeError(f"hidden must be a list of widths, such as (64, 64); given {hidden!r}")
        sizes = {"num_inputs": num_inputs, "num_actions": num_actions}
        sizes |= {
            "num_objectives": num_objectives,
            **{f"hidden[{i}]": n for i, n in enumerate(hidden)},
        }
        for name, size in sizes.items():
            if isinstance(size, bool) or not isinstance(size, int):
                raise DtypeError(f"{name} must be an integer; given {size!r}")
            if size < 1:
                raise DomainError(f"{name} must be ≥ 1; given {size}")
        try:
            scale = torch.as_tensor(value_scale, dtype=torch.float32)
        except (TypeError, ValueError, RuntimeError) as error:
            raise DtypeError(f"value_scale must be numbers; given {value_scale!r}") from error
        if scale.dim() > 1 or (scale.dim() and len(scale) != num_objectives):
            raise ShapeError(
                f"value_scale must be a number or {num_objectives}; given {tuple(scale.shape)}"
            )
        if not bool((scale > 0).all()) or bool(scale.isinf().any()):
            raise DomainError(f"value_scale must be > 0 and finite; given {value_scale}")
        self.num_inputs, self.num_actions = num_inputs, num_actions
        self.num_objectives, self.discrete = num_objectives, bool(discrete)
        self.hidden = tuple(hidden)
        self.register_buffer("value_scale", scale.expand(num_objectives).clone(), persistent=False)
        self.value_scale: Tensor

    @property
    def arguments(self) -> dict[str, Any]:
        """The keyword arguments that build the same network again, as JSON values."""
        return {
            "num_inputs": self.num_inputs,
            "num_actions": self.num_actions,
            "num_objectives": self.num_objectives,
            "hidden": list(self.hidden),
            "discrete": self.discrete,
            "value_scale": self.value_scale.tolist(),
        }

    def save(self, path: Path | str) -> None:
        """Write a model file, which `coset.core.model_files.load_model` reads.

        Args:
            path: the file.

        Raises:
            StorageError: if it cannot be written.
        """
        from coset.core.model_files import save_model

        save_model(self, path, name=self.file_class, arguments=self.arguments)

    def features(self, observation: Tensor) -> Tensor:
        """Return what the first layer reads.

        Args:
            observation: (…, num_inputs) numbers; or, if `discrete`, (…) integers in
                0 … num_inputs − 1.

        Returns:
            (…, num_inputs), of the dtype of the weights.

        Raises:
            ShapeError: if the last dimension is wrong.
            DomainError: if an integer is out of range.
        """
        weight = next(self.parameters())
        if self.discrete:
            states = observation.long()
            if states.numel() and not 0 <= int(states.min()) <= int(states.max()) < self.num_inputs:
                raise DomainError(
                    f"observations must be in 0…{self.num_inputs - 1}; given "
                    f"{int(states.min())}…{int(states.max())}"
                )
            return nn.functional.one_hot(states, self.num_inputs).to(weight.dtype)
        if observation.shape[-1:] != (self.num_inputs,):
            raise ShapeError(
                f"observations must be (…, {self.num_inputs}); given {tuple(observation.shape)}"
            )
        return observation.to(weight.dtype)

    def _layers(self, num_outputs: int, gain: float) -> nn.Sequential:
        """Return a perceptron with tanh, orthogonal weights and a last layer of the given gain."""
        sizes = (self.num_inputs, *self.hidden)
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(sizes):
            layers += [_linear(before, after, math.sqrt(2)), nn.Tanh()]
        return nn.Sequential(*layers, _linear(sizes[-1], num_outputs, gain))


def _linear(before: int, after: int, gain: float) -> nn.Linear:
    layer = nn.Linear(before, after)
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


class LexicographicQNetwork(_Network):
    """Action values of d objectives: a shared trunk and d heads.

    Q(s, a)_k = scale_k · head_k(trunk(s))_a. Its choice is `lexicographic_argmax` with its slack.

    Args:
        num_inputs: features of an observation, or number of states if `discrete`.
        num_actions: A.
        num_objectives: d.
        hidden: widths of the trunk; none for a linear network (a table if `discrete`).
        discrete: observations are integers.
        value_scale: > 0, how large values are, a number or one for each objective; the loss is
            measured in it, so that no objective drowns the others in the trunk.
        slack: τ of the objectives but the last, a number or d − 1.

    Raises:
        DomainError: if a size is < 1, a scale not positive, a slack negative.
        ShapeError: if there are not d scales or d − 1 slacks.
        DtypeError: if a size is no integer.

    Claims: decisions.C15.

    Example:
        >>> network = LexicographicQNetwork(4, 2, 3, slack=(0.1, 0.2))
        >>> network(torch.zeros(5, 4)).shape, network.act(torch.zeros(5, 4)).shape
        (torch.Size([5, 2, 3]), torch.Size([5]))
    """

    file_class = "decisions.LexicographicQNetwork"

    def __init__(
        self,
        num_inputs: int,
        num_actions: int,
        num_objectives: int,
        *,
        hidden: Sequence[int] = (64, 64),
        discrete: bool = False,
        value_scale: Sequence[float] | float = 1.0,
        slack: Sequence[float] | float = 0.0,
    ) -> None:
        super().__init__(
            num_inputs,
            num_actions,
            num_objectives,
            hidden=hidden,
            discrete=discrete,
            value_scale=value_scale,
        )
        tolerance = checked_slack(slack, num_objectives)
        self.slack = tolerance[:-1].tolist()
        self.register_buffer("_tolerance", tolerance.float(), persistent=False)
        self._tolerance: Tensor
        self.layers = self._layers(num_actions * num_objectives, 0.01)

    @property
    def arguments(self) -> dict[str, Any]:
        """The keyword arguments that build the same network again, as JSON values."""
        return {**super().arguments, "slack": self.slack}

    def forward(self, observation: Tensor) -> Tensor:
        """Return the action values.

        Args:
            observation: as in `features`.

        Returns:
            (…, A, d).
        """
        out: Tensor = self.layers(self.features(observation))
        shape = (*out.shape[:-1], self.num_actions, self.num_objectives)
        return out.reshape(shape) * self.value_scale

    @torch.no_grad()
    def act(self, observation: Tensor) -> Tensor:
        """Return the lexicographic choice, as `lexicographic_argmax` of the values.

        Args:
            observation: as in `features`.

        Returns:
            (…) int64.
        """
        q = self(observation)
        return eliminate(q, self._tolerance).to(torch.uint8).argmax(-1)


class LexicographicActorCritic(_Network):
    """One policy and the values of d objectives, in two perceptrons.

    Args:
        num_inputs: features of an observation, or number of states if `discrete`.
        num_actions: A.
        num_objectives: d.
        hidden: widths of both.
        discrete: observations are integers.
        value_scale: as in `LexicographicQNetwork`.

    Raises:
        DomainError: if a size is < 1 or a scale not positive.
        ShapeError: if there are not d scales.
        DtypeError: if a size is no integer.

    Claims: decisions.C15.

    Example:
        >>> network = LexicographicActorCritic(16, 4, 2, discrete=True)
        >>> logits, value = network(torch.tensor([0, 15]))
        >>> logits.shape, value.shape
        (torch.Size([2, 4]), torch.Size([2, 2]))
    """

    file_class = "decisions.LexicographicActorCritic"

    def __init__(
        self,
        num_inputs: int,
        num_actions: int,
        num_objectives: int,
        *,
        hidden: Sequence[int] = (64, 64),
        discrete: bool = False,
        value_scale: Sequence[float] | float = 1.0,
    ) -> None:
        super().__init__(
            num_inputs,
            num_actions,
            num_objectives,
            hidden=hidden,
            discrete=discrete,
            value_scale=value_scale,
        )
        self.actor = self._layers(num_actions, 0.01)
        self.critic = self._layers(num_objectives, 1.0)

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of the actions and the values.

        Args:
            observation: as in `features`.

        Returns:
            (…, A) logits and (…, d) values.
        """
        features = self.features(observation)
        return self.actor(features), self.critic(features) * self.value_scale

    @torch.no_grad()
    def act(self, observation: Tensor) -> Tensor:
        """Return the most probable action.

        Args:
            observation: as in `features`.

        Returns:
            (…) int64.
        """
        logits: Tensor = self.actor(self.features(observation))
        return logits.argmax(-1)

    @torch.no_grad()
    def sample(self, observation: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return actions drawn from the policy.

        Args:
            observation: (N, …), as in `features`.
            generator: source of randomness, on the device of the network.

        Returns:
            (N,) int64.
        """
        chances = self.actor(self.features(observation)).softmax(-1)
        return torch.multinomial(chances, 1, generator=generator)[..., 0]
