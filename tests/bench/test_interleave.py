from __future__ import annotations

import pytest

from coset.bench.interleave import MIN_ROUNDS, calls_per_turn, measure, schedule


def test_every_round_has_everybody_once_in_changing_order():
    names = [f"n{i}" for i in range(6)]
    orders = schedule(names, 40, seed=1)
    assert len(orders) == 40
    assert all(sorted(order) == names for order in orders)
    assert len({tuple(order) for order in orders}) > 30
    assert {order[0] for order in orders} == set(names)
    assert orders == schedule(names, 40, seed=1)
    assert orders != schedule(names, 40, seed=2)


def test_the_timers_run_in_the_order_of_the_schedule():
    ran = []
    orders = schedule(["a", "b", "c"], 7, seed=0)
    timers = {name: lambda name=name: ran.append(name) or len(ran) for name in "abc"}
    rounds = []
    found = measure(timers, orders, 1e9, after_round=rounds.append)
    assert ran == [name for order in orders for name in order]
    assert {name: len(times) for name, times in found.items()} == {"a": 7, "b": 7, "c": 7}
    assert sorted(time for times in found.values() for time in times) == list(range(1, 22))
    assert rounds == list(range(1, 8))


def test_when_time_is_up_no_new_round_starts_but_five_always_run():
    now = iter(range(10**6))
    orders = schedule(["a"], 50, seed=0)
    found = measure({"a": lambda: 1.0}, orders, 0.0, clock=lambda: next(now))
    assert len(found["a"]) == MIN_ROUNDS
    found = measure({"a": lambda: 1.0}, orders, 9.5, clock=lambda: next(now))
    assert MIN_ROUNDS < len(found["a"]) < 50


@pytest.mark.parametrize(("seconds", "calls"), [(1.0, 1), (0.01, 1), (0.004, 3), (0.0, 1000)])
def test_turns_last_about_ten_milliseconds(seconds, calls):
    assert calls_per_turn(seconds) == calls
