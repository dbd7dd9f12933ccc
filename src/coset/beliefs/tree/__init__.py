"""Beliefs about many variables without a dense joint: junction trees.

Begin with `plan` (which tables of which variables suffice) and `joint` (a distribution held as such
tables); `problem` writes a graph for it, `solver` minimizes its score there.
"""
