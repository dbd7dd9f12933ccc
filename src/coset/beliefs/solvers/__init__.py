"""Solvers of the inconsistency inf_μ [[M]]_γ(μ), and what they share.

Begin with `problem` (a graph as dense arrays) and `hard_chain` (constraints that are met exactly);
`score` evaluates, `mirror`, `cone`, `cccp` and `zero_plus` minimize, `solve` chooses.
"""
