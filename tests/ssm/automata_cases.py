"""Random automata for the tests."""

from __future__ import annotations

from hypothesis import strategies as st

from coset.ssm.automata import Automaton


@st.composite
def automata(draw, max_states=6, max_tokens=3):
    n = draw(st.integers(1, max_states))
    width = draw(st.integers(1, max_tokens))
    row = st.lists(st.integers(0, n - 1), min_size=width, max_size=width)
    delta = draw(st.lists(row, min_size=n, max_size=n))
    accepting = draw(st.sets(st.integers(0, n - 1)))
    return Automaton.from_dfa(delta, draw(st.integers(0, n - 1)), accepting)
