"""A GAN on a ring of Gaussians: both players move by `lir`."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from coset.beliefs.foci.adversarial_networks import gan, gan_samples_graph
from coset.beliefs.resolve.lir import lir
from coset.core.errors import ConfigError
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment

if TYPE_CHECKING:
    from torch import Tensor

    from coset.beliefs.pdg.graph import PDG
    from coset.beliefs.resolve.focus import Focus

__all__ = ["GANConfig", "gan_ring"]

_RADIUS, _DEVIATION = 2.0, 0.02
_NUM_SAMPLES = 2000
_NUM_DRAWN = 400  # of which are rows, for a picture
_LEAST_SHARE = 0.01  # of the samples, for a mode to count
_NEAR = 0.3  # from a mode, for a sample to belong to it


@dataclass(frozen=True)
class GANConfig:
    """One run of `beliefs.gan`.

    Attributes:
        seed: of weights and samples.
        num_modes: Gaussians on the circle of radius 2, each with deviation 0.02.
        num_rounds: of both players.
        batch_size: real points, and as many generated ones.
        discriminator_steps: for each of the generator.
        generator_rate: χ of the generator.
        discriminator_rate: χ of the discriminator.
        hidden: units of each of two hidden layers.
        noise_size: numbers that the generator starts from.
    """

    seed: int = 0
    num_modes: int = 8
    num_rounds: int = 2500
    batch_size: int = 128
    discriminator_steps: int = 1
    generator_rate: float = 0.1
    discriminator_rate: float = 0.05
    hidden: int = 64
    noise_size: int = 8


@experiment(
    "beliefs.gan",
    title="A GAN by foci on a ring of Gaussians: which modes are found",
    presets={
        "smoke": Preset(GANConfig(num_rounds=60)),
        "cpu": Preset(GANConfig(), {"seed": (0, 1)}),
        "paper": Preset(GANConfig(num_rounds=40_000), {"seed": (0, 1, 2, 3, 4)}),
    },
    claims=("beliefs.C18",),
    figures=("coset.beliefs.figures:gan_ring_samples",),
)
def gan_ring(config: GANConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    """Play the game for some rounds, and look at what the generator makes.

    Args:
        config: the settings.
        run: for randomness and progress.

    Yields:
        One row of kind "outcome": seed, num_modes, modes_found (with at least 1 % of the samples
        within 0.3), near_share (of samples that are near some mode) and value (L in nats at the
        end; −2 log 2 is a draw). Rows of kind "sample": seed, x, y.

    Raises:
        ConfigError: if a count is not positive.

    Claims: beliefs.C18.
    """
    counts = (config.num_modes, config.num_rounds, config.batch_size, config.hidden)
    if min(*counts, config.discriminator_steps, config.noise_size) < 1:
        raise ConfigError(f"counts are ≥ 1; given {config}")
    game = _Game(config, run)
    foci = gan(
        generator_rate=config.generator_rate,
        discriminator_rate=config.discriminator_rate,
        discriminator_steps=config.discriminator_steps,
    )

    def refocus(step: int, _: PDG) -> Focus:
        run.progress(step, config.num_rounds * len(foci), "rounds")
        game.draw()
        return foci[step % len(foci)]

    trace = lir(game.graph, refocus, config.num_rounds * len(foci), overall_every=0)
    last = trace.steps[-1]
    with torch.no_grad():
        samples = game.made(torch.randn(_NUM_SAMPLES, config.noise_size, generator=game.generator))
    yield {
        "kind": "outcome",
        "seed": config.seed,
        **_modes(samples, config.num_modes),
        # The generator's focus has the value L/2 + log 2
        "value": 2 * (float(last.attended_before) - math.log(2)),
    }
    for x, y in samples[:_NUM_DRAWN].tolist():
        yield {"kind": "sample", "seed": config.seed, "x": round(x, 4), "y": round(y, 4)}


class _Game:
    """Both players and the points at hand."""

    def __init__(self, config: GANConfig, run: RunContext) -> None:
        self.config = config
        self.generator = run.generator("samples")
        weights = run.generator("weights")
        self.made = _network((config.noise_size, config.hidden, config.hidden, 2), weights)
        self.judged = _network((2, config.hidden, config.hidden, 1), weights)
        self.draw()
        self.graph = gan_samples_graph(
            config.batch_size,
            self._logits,
            generator_parameters=self.made.parameters(),
            discriminator_parameters=self.judged.parameters(),
        )

    def draw(self) -> None:
        """Take new real points and new noise."""
        count, modes = self.config.batch_size, self.config.num_modes
        angle = torch.randint(modes, (count,), generator=self.generator) * (2 * math.pi / modes)
        centers = _RADIUS * torch.stack([angle.cos(), angle.sin()], -1)
        self.real = centers + _DEVIATION * torch.randn(count, 2, generator=self.generator)
        self.noise = torch.randn(count, self.config.noise_size, generator=self.generator)

    def _logits(self) -> Tensor:
        points = torch.cat([self.real, self.made(self.noise)])
        logits: Tensor = self.judged(points)[:, 0]
        return logits.double()


def _network(sizes: tuple[int, ...], generator: torch.Generator) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        layer = nn.Linear(inputs, outputs)
        bound = inputs**-0.5
        with torch.no_grad():
            for parameter in layer.parameters():
                uniform = torch.rand(parameter.shape, generator=generator)
                parameter.copy_((2 * uniform - 1) * bound)
        layers += [layer, nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers[:-1])


def _modes(samples: Tensor, num_modes: int) -> dict[str, Any]:
    angle = torch.arange(num_modes) * (2 * math.pi / num_modes)
    centers = _RADIUS * torch.stack([angle.cos(), angle.sin()], -1)
    distance, nearest = torch.cdist(samples, centers).min(-1)
    near = distance <= _NEAR
    counts = torch.bincount(nearest[near], minlength=num_modes)
    found = int((counts >= _LEAST_SHARE * len(samples)).sum())
    share = float(near.double().mean())
    return {"num_modes": num_modes, "modes_found": found, "near_share": share}
