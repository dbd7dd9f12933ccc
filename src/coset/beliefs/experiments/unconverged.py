"""The recipe of the paper's study of attention: a few steps of Adam wherever a minimum is meant.

Kept apart, so that its numbers can stand beside exact ones: fewer steps than convergence needs
overstate inconsistency and bias gradients. All of it is batched, with the derivatives written out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from coset.beliefs.pdg.graph import PDG

__all__ = ["AdamRecipe", "AdamState"]

JOINT_RATE = 1e-3
REPORTED_STEPS = 50
INNER_STEPS = 20
OUTER_STEPS = 10
OUTER_RATE = 0.05 / OUTER_STEPS


@dataclass
class AdamState:
    """The moments of Adam for one tensor."""

    rate: float
    first: Tensor
    second: Tensor
    count: int = 0

    @classmethod
    def of(cls, tensor: Tensor, rate: float) -> AdamState:
        """Return moments of zero."""
        return cls(rate, torch.zeros_like(tensor), torch.zeros_like(tensor))

    def step(self, gradient: Tensor) -> Tensor:
        """Return the change of the tensor."""
        self.count += 1
        self.first.mul_(0.9).add_(gradient, alpha=0.1)
        self.second.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
        scale = math.sqrt(1 - 0.999**self.count)
        size = self.rate / (1 - 0.9**self.count)
        return -size * self.first / (self.second.sqrt() / scale + 1e-8)


class AdamRecipe:
    """A batch of graphs with the same arcs of one source and one target, and logits for tables.

    A joint is max(raw, 0) divided by its sum, for raw numbers of any sign, with a penalty
    (sum − 1)² on them; it starts uniform. The logarithms are to base 2.

    Args:
        pdg: the graph; its arcs have tables (batch, source, target).

    Attributes:
        logits: the table of each arc, (batch, source · target).
    """

    def __init__(self, pdg: PDG) -> None:
        self.cards = pdg.cards(pdg.variables)
        self.num_worlds = math.prod(self.cards)
        names = list(pdg.variables)
        worlds = torch.cartesian_prod(*(torch.arange(n) for n in self.cards))
        self.rows: list[Tensor] = []  # (cells, sources): which row a cell is in
        members = []
        for arc in pdg.arcs.values():
            (source,), (target,) = arc.sources, arc.targets
            num = pdg.variables[target].card
            cell = worlds[:, names.index(source)] * num + worlds[:, names.index(target)]
            members.append(torch.nn.functional.one_hot(cell).double())
            rows = torch.arange(members[-1].shape[1]) // num
            self.rows.append(torch.nn.functional.one_hot(rows).double())
        self.member = torch.cat(members, 1)  # (worlds, cells)
        self.row = torch.block_diag(*self.rows)  # type: ignore[no-untyped-call] # (cells, rows)
        self.arc = torch.cat([torch.full((rows.shape[0],), i) for i, rows in enumerate(self.rows)])
        self.logits = torch.cat(
            [a.log_probabilities().detach().flatten(1) for a in pdg.arcs.values()], 1
        )

    def log_probabilities(self) -> Tensor:
        """Return log p of each cell, (batch, cells)."""
        total = self.logits.exp() @ self.row
        log_p: Tensor = self.logits - (total @ self.row.T).log()
        return log_p

    def tables(self, pdg: PDG) -> dict[str, Tensor]:
        """Return p of each arc by name, (batch, source, target)."""
        sizes = [len(rows) for rows in self.rows]
        cells = torch.split(self.log_probabilities().exp(), sizes, 1)
        return {
            name: table.reshape(-1, *pdg.cards((*arc.sources, *arc.targets)))
            for table, (name, arc) in zip(cells, pdg.arcs.items(), strict=True)
        }

    def uniform(self) -> Tensor:
        """Return uniform joints, (batch, worlds)."""
        return torch.full((len(self.logits), self.num_worlds), 1.0 / self.num_worlds).double()

    def _surprise(self, joint: Tensor, log_p: Tensor) -> tuple[Tensor, Tensor]:
        """Return μ(s, t), and the derivative of Σ μ log(μ(t|s) / p(t|s)) in it, in bits.

        That is the logarithm itself, but where μ(s, t) = 0 < μ(s): there the recipe masks the term
        of that cell, and what is left is what the cell does to the others of its row, −1 nat.
        """
        both = joint @ self.member
        source = both @ self.row @ self.row.T
        ratio = both.clamp(min=1e-300).log() - source.clamp(min=1e-300).log() - log_p
        masked = torch.where(source > 0, -1.0, 0.0)
        return both, torch.where(both > 0, ratio, masked) / math.log(2)

    def score(self, joint: Tensor, beta: Tensor) -> Tensor:
        """Return Σ β E KL(μ(t|s) ‖ p(t|s)) in bits, (batch,); β is (batch, arcs)."""
        both, ratio = self._surprise(joint, self.log_probabilities())
        return (beta[:, self.arc] * both * ratio).sum(1)

    def report(self, joint: Tensor, beta: Tensor) -> Tensor:
        """Return the joint whose score is reported: fifty steps of Adam from another one."""
        return self.optimize(joint, beta, REPORTED_STEPS)[0]

    def optimize(self, joint: Tensor, beta: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """Return the best of the joints that some steps of Adam go through.

        Args:
            joint: where to start, (batch, worlds).
            beta: β of each arc, (batch, arcs).
            steps: how many.

        Returns:
            The joint, (batch, worlds); and what the recipe gathers in the gradient of the logits
            on the way, (batch, cells): it differentiates each score twice in everything.
        """
        raw = joint / joint.sum(1, keepdim=True)
        adam = AdamState.of(raw, JOINT_RATE)
        log_p, weight = self.log_probabilities(), beta[:, self.arc]
        gathered = torch.zeros_like(log_p)
        best, least = raw, torch.full((len(raw), 1), math.inf).double()
        for _ in range(steps):
            kept = raw.clamp(min=0.0)
            total = kept.sum(1, keepdim=True)
            joint = kept / total
            both, ratio = self._surprise(joint, log_p)
            gathered += 2 * self._slope(both, log_p, weight)
            loss = (weight * both * ratio).sum(1, keepdim=True)
            value = loss + (total - 1) ** 2
            best = torch.where(value <= least, joint, best)
            least = torch.minimum(value, least)
            slope = ((weight * ratio) @ self.member.T - loss) / total + 2 * (total - 1)
            raw = raw + adam.step(torch.where(raw >= 0, slope, 0.0))
        return best, gathered

    def _slope(self, both: Tensor, log_p: Tensor, weight: Tensor) -> Tensor:
        """Return the derivative of the score in the logits, β (μ(s) p(t|s) − μ(s, t))."""
        expected: Tensor = (both @ self.row @ self.row.T) * log_p.exp()
        return weight * (expected - both) / math.log(2)

    def refocus(self, joint: Tensor, beta: Tensor, controlled: Tensor) -> Tensor:
        """Move the tables by ten steps of Adam, each after twenty for the joint.

        Args:
            joint: the last joint, (batch, worlds).
            beta: β of each arc, (batch, arcs).
            controlled: which arcs may move, (batch, arcs), 0 or 1.

        Returns:
            The joint after the last step.
        """
        adam = AdamState.of(self.logits, OUTER_RATE)
        for _ in range(OUTER_STEPS):
            joint, gathered = self.optimize(joint, beta, INNER_STEPS)
            both, weight = joint @ self.member, beta[:, self.arc]
            gradient = gathered + self._slope(both, self.log_probabilities(), weight)
            self.logits = self.logits + controlled[:, self.arc] * adam.step(gradient)
        return joint
