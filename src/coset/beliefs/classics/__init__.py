"""Classical algorithms as textbooks write them: what the instances of `lir` are compared with.

Nothing here knows of graphs of beliefs, foci or inconsistency. `em` (latent classes, Gaussian
mixtures), `sum_product` (messages on factor graphs), `variational` (the evidence lower bound),
`gan`, `adversarial`, `softmax_attention` and `expected_utility`.
"""
