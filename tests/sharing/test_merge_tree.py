"""The path as rows, and its tree in a terminal."""

from __future__ import annotations

import torch

from coset.sharing.commands.tree import draw_tree
from coset.sharing.merge_tree import count_rows, tree_rows
from coset.sharing.path import sharing_path


def tree(values, num_leaves=99):
    return tree_rows(sharing_path(torch.tensor(values, dtype=torch.float64)), num_leaves)


def test_leaves_and_joins_by_hand():
    rows = tree([7.0, 0.0, 3.0, 1.0])
    leaves = [row for row in rows if row["kind"] == "leaf"]
    assert [(row["line"], row["value"], row["mass"]) for row in leaves] == [
        (0.0, 0.0, 1),
        (1.0, 1.0, 1),
        (2.0, 3.0, 1),
        (3.0, 7.0, 1),
    ]
    joins = [row for row in rows if row["kind"] == "join"]
    assert [(row["strength"], row["mass"], row["line"]) for row in joins] == [
        (1.5, 2, 0.5),
        (2.5, 3, 1.0),
        (4.25, 4, 1.5),
    ]
    lower = [(row["lower_line"], row["lower_strength"], row["lower_mass"]) for row in joins]
    assert lower == [(0.0, 0.0, 1), (0.5, 1.5, 2), (1.0, 2.5, 3)]
    assert [row["upper_mass"] for row in joins] == [1, 1, 1]


def test_few_leaves_are_the_clusters_that_merge_last(generator):
    w = torch.randn(500, generator=generator)
    path = sharing_path(w)
    rows = tree_rows(path, 9)
    leaves = [row for row in rows if row["kind"] == "leaf"]
    begin = path.strength_for(num_unique=9)
    index, values = path.cut(begin)
    assert [row["mass"] for row in leaves] == torch.bincount(index).tolist()
    assert [row["value"] for row in leaves] == values.tolist()
    assert {row["strength"] for row in leaves} == {begin}
    joins = [row for row in rows if row["kind"] == "join"]
    assert len(joins) == 8
    assert [row["strength"] for row in joins] == path.merges[-8:, 0].tolist()
    assert joins[-1]["mass"] == 500


def test_one_weight_and_equal_weights_are_a_tree_of_one_leaf():
    assert [row["kind"] for row in tree([3.0])] == ["leaf"]
    assert [row["mass"] for row in tree([3.0, 3.0], 1)] == [2]
    assert draw_tree(tree([3.0]), 10) == ["─"]


def test_counts_follow_the_path_and_the_law_ends_at_the_critical_strength():
    path = sharing_path(torch.tensor([0.0, 1.0, 3.0, 7.0]))
    rows = count_rows(path, 0.25, 1.0, num_strengths=18)
    counts = [row for row in rows if row["kind"] == "count"]
    assert [row["strength"] for row in counts] == [0.25 * i for i in range(18)]
    assert [row["num_unique"] for row in counts] == [4] * 6 + [3] * 4 + [2] * 7 + [1]
    assert [row["predicted_fraction"] for row in counts[:5]] == [1.0, 0.875, 0.75, 0.625, 0.5]
    assert {row["predicted_fraction"] for row in counts[5:]} == {None}
    assert [(row["kind"], row["strength"]) for row in rows[18:]] == [
        ("critical", 1.0),
        ("merged", 4.25),
    ]


def test_the_tree_in_a_terminal(generator):
    assert draw_tree(tree([0.0, 1.0, 3.0, 7.0]), 18) == [
        "╶──────┬──┐",
        "╶──────┘  ├──────┐",
        "╶─────────┘      ├╴",
        "╶────────────────┘",
    ]
    assert draw_tree(tree([0.0, 1.0, 10.0, 11.0, 12.5]), 18) == [
        "╶────┬───────────┐",
        "╶────┘           │",
        "╶────┬┐          ├╴",
        "╶────┘├──────────┘",
        "╶─────┘",
    ]
    for line in draw_tree(tree_rows(sharing_path(torch.randn(300, generator=generator)), 14), 40):
        assert len(line) <= 41
        assert line.startswith("╶")
