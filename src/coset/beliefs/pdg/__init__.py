"""Probabilistic dependency graphs: variables, arcs that hold beliefs, and where they come from.

Begin with `graph` (the `PDG` itself), then `arc` (one belief) and `tables` (what a belief's
numbers must satisfy). `bif`, `bayes_net`, `factor_graph` and `pdg_file` read and write them.
"""
