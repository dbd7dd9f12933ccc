"""Classical algorithms as choices of focus: graphs of beliefs, and foci that `lir` takes in turn.

`em`, `belief_propagation`, `vae`, `adversarial`, `gan`, `decision` and `attention_layer`. Each has
a function that builds the beliefs and one that gives the foci; `lir` knows nothing of either. What
they are compared with is in `coset.beliefs.classics`.
"""
