"""The literal algorithms against hand values, and the fast compiler against them."""

from __future__ import annotations

import pytest
import torch

from coset.core.errors import DomainError
from coset.groups import parse_group
from coset.ssm.certificate import label_codes
from coset.ssm.compile import compile_group
from coset.ssm.reference import (
    check_reference,
    compile_reference,
    derived_series_reference,
    run_reference,
)


def test_the_series_of_s3_by_hand():
    # 0 1 2 the rotations, 3 4 5 the reflections of a triangle.
    mul = [[(a + b) % 3 for b in range(3)] + [3 + (b - a) % 3 for b in range(3)] for a in range(3)]
    mul += [[3 + (a + b) % 3 for b in range(3)] + [(b - a) % 3 for b in range(3)] for a in range(3)]
    assert derived_series_reference(mul) == [set(range(6)), {0, 1, 2}, {0}]


@pytest.mark.parametrize("name", ["Z1", "Z12", "Z2xZ4", "S3", "D4", "Q8", "A4", "S4", "SL(2,3)"])
def test_both_compilers_agree(name):
    group = parse_group(name)
    mul = group.mul.tolist()
    literal, fast = compile_reference(mul), compile_group(group)
    assert [v.moduli for v in literal.layers] == [v.moduli for v in fast.layers]
    values = check_reference(literal, mul, range(group.order), group.identity)
    assert values is not None
    assert sorted(values.values()) == list(range(group.order))
    again = check_reference(fast.cascade, mul, fast.alphabet.tolist(), group.identity)
    assert again == dict(enumerate(fast.elements.tolist()))
    word = torch.randint(0, group.order, (200,))
    names = label_codes(literal, group.mul, group.identity)
    assert names[run_reference(literal, word.tolist())].tolist() == fast.track(word).tolist()


def test_the_search_says_no():
    tracker = compile_group("S3")
    short = type(tracker.cascade)(tracker.layers[:1], 6)
    assert check_reference(short, tracker.group.mul.tolist(), range(6), 0) is None
    with pytest.raises(DomainError, match="60"):
        compile_reference(parse_group("A5").mul.tolist())
