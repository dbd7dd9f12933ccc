"""Classical algorithms as choices of focus: graphs of beliefs, and foci that `lir` takes in turn.

Each algorithm has a function that builds the beliefs (`em_graph`, `message_graph`, …) and one that
gives the foci (`em`, `bp_schedule`, `vae`, `adversarial`, `gan`, `decision`, `attention_layer`);
`uniform`, `partial` and `hub` fit any graph. `lir` knows nothing of them. What they are compared
with is in `coset.beliefs.classics`.
"""

from __future__ import annotations

from coset.beliefs.foci.adversarial_networks import gan, gan_graph, gan_samples_graph
from coset.beliefs.foci.adversarial_training import (
    AttackedExamples,
    adversarial,
    adversarial_graph,
)
from coset.beliefs.foci.attended_arcs import hub, partial, uniform
from coset.beliefs.foci.autoencoder import vae, vae_examples_graph
from coset.beliefs.foci.belief_propagation import bp_beliefs, bp_schedule, message_graph
from coset.beliefs.foci.expectation_maximization import (
    GaussianComponents,
    em,
    em_graph,
    latent_class_graph,
    mixture_graph,
)
from coset.beliefs.foci.expected_utility import action_values, decision, decision_graph
from coset.beliefs.foci.softmax_attention import attention_graph, attention_layer

__all__ = [
    "AttackedExamples",
    "GaussianComponents",
    "action_values",
    "adversarial",
    "adversarial_graph",
    "attention_graph",
    "attention_layer",
    "bp_beliefs",
    "bp_schedule",
    "decision",
    "decision_graph",
    "em",
    "em_graph",
    "gan",
    "gan_graph",
    "gan_samples_graph",
    "hub",
    "latent_class_graph",
    "message_graph",
    "mixture_graph",
    "partial",
    "uniform",
    "vae",
    "vae_examples_graph",
]
