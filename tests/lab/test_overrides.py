from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coset.core.errors import ConfigError
from coset.lab.configs import canonical, leaves, type_name
from coset.lab.overrides import apply_overrides, format_override, from_json, parse_text, to_json


@dataclass(frozen=True)
class Net:
    width: int = 8
    shape: tuple[int, float] = (3, 0.5)
    names: tuple[str, ...] = ("a",)


@dataclass(frozen=True)
class Config:
    rate: float = 0.1
    epochs: int = 3
    fast: bool = False
    name: str = "net"
    clip: float | None = None
    label: str | None = None
    method: Literal["fc", "cnn"] = "fc"
    order: Literal[1, 2] = 1
    count: int | float = 1
    net: Net = field(default_factory=Net)
    grid: tuple[tuple[int, ...], ...] = ()


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("rate=1", "rate", 1.0),
        ("rate=1e-3", "rate", 0.001),
        ("epochs=-7", "epochs", -7),
        ("fast=true", "fast", True),
        ("fast=No", "fast", False),
        ("name=a=b, c", "name", "a=b, c"),
        ("name=", "name", ""),
        ("name=none", "name", "none"),
        ("clip=none", "clip", None),
        ("clip=2", "clip", 2.0),
        ("label=none", "label", None),
        ('label="none"', "label", "none"),
        ("method=cnn", "method", "cnn"),
        ("order=2", "order", 2),
        ("count=2", "count", 2),
        ("count=2.0", "count", 2.0),
        ("net.width=64", "net.width", 64),
        ("net.shape=4,1", "net.shape", (4, 1.0)),
        ("net.names=", "net.names", ()),
        ("net.names=(x, y,)", "net.names", ("x", "y")),
        ('net.names=["x,y"]', "net.names", ("x,y",)),
        ("grid=[[1,2],[]]", "grid", ((1, 2), ())),
    ],
)
def test_an_override_sets_one_field(text, name, value):
    changed = leaves(apply_overrides(Config(), [text]))
    got = changed[name][1]
    assert got == value
    assert type(got) is type(value)
    assert {n: v for n, v in changed.items() if n != name} == {
        n: v for n, v in leaves(Config()).items() if n != name
    }


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["rate"], "field=value"),
        (["=3"], "field=value"),
        (["rate=abc"], r"rate must be float; given 'abc'; known fields: rate, epochs"),
        (["rate=nan"], "finite"),
        (["rate=inf"], "finite"),
        (["epochs=1.5"], "epochs must be int; given '1.5'"),
        (["fast=maybe"], "fast must be bool"),
        (["method=rnn"], r"method must be 'fc' \| 'cnn'; given 'rnn'"),
        (["order=3"], r"order must be 1 \| 2"),
        (["net.shape=1"], r"net.shape must be tuple\[int, float\]"),
        (["net.shape=[1"], "not JSON"),
        (["net.width=x"], "net.width must be int; given 'x'; known fields: net.width"),
        (["net=3"], "net.width="),
        (["ratte=1"], "no field 'ratte'.*did you mean rate"),
        (["net.with=1"], "no field 'net.with'.*did you mean net.width"),
        (["rate.x=1"], "rate must be a dataclass"),
        (["rate=1", "rate=2"], "set twice"),
    ],
)
def test_a_wrong_override_says_field_type_and_known_fields(texts, message):
    with pytest.raises(ConfigError, match=message):
        apply_overrides(Config(), texts)


def test_overrides_are_applied_at_once():
    @dataclass(frozen=True)
    class Interval:
        low: int = 0
        high: int = 1

        def __post_init__(self):
            if self.low >= self.high:
                raise ConfigError("low must be below high")

    assert apply_overrides(Interval(), ["low=5", "high=6"]) == Interval(5, 6)
    with pytest.raises(ConfigError, match="below"):
        apply_overrides(Interval(), ["low=5"])


def test_json_round_trip_is_canonical():
    config = Config(rate=1, net=Net(shape=[2, 1]))  # type: ignore[arg-type]
    assert to_json(config)["rate"] == 1.0
    assert type(to_json(config)["rate"]) is float
    assert from_json(Config, to_json(config)) == canonical(config)
    assert canonical(config).net.shape == (2, 1.0)
    assert from_json(Config, {}) == Config()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"rate": "1"}, "rate must be float"),
        ({"epochs": True}, "epochs must be int"),
        ({"fast": 1}, "fast must be bool"),
        ({"net": {"width": "4"}}, "net.width must be int"),
        ({"net": {"wide": 4}}, "net has no field 'wide'"),
        ({"nothing": 1}, "Config has no field 'nothing'"),
        ({"clip": float("inf")}, "clip must be"),
        ([], "Config must be Config"),
    ],
)
def test_wrong_json_is_refused(value, message):
    with pytest.raises(ConfigError, match=message):
        from_json(Config, value)


def test_types_that_cannot_be_stored_are_refused():
    @dataclass(frozen=True)
    class Odd:
        path: Path = Path()

    with pytest.raises(ConfigError, match="path is declared as Path, which"):
        to_json(Odd())
    with pytest.raises(ConfigError, match="dataclass"):
        to_json(3)


@pytest.mark.property
@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.one_of(
        st.tuples(st.just(float), st.floats(allow_nan=False, allow_infinity=False)),
        st.tuples(st.just(int), st.integers()),
        st.tuples(st.just(bool), st.booleans()),
        st.tuples(st.just(str), st.text(st.characters(codec="utf-8"))),
        st.tuples(st.just(str | None), st.none() | st.sampled_from(["none", "null", "1", '"', ""])),
        st.tuples(st.just(tuple[int, ...]), st.lists(st.integers()).map(tuple)),
        st.tuples(st.just(tuple[float, ...]), st.lists(st.floats(-9, 9)).map(tuple)),
        st.tuples(st.just(tuple[str, ...]), st.lists(st.text()).map(tuple)),
        st.tuples(st.just(tuple[bool, ...]), st.lists(st.booleans()).map(tuple)),
        st.tuples(
            st.just(tuple[tuple[int, ...], ...]),
            st.just(()) | st.just(((1, 2), ())) | st.just(((),)),
        ),
    )
)
def test_a_formatted_override_reads_back(pair: tuple[Any, Any]):
    hint, value = pair
    name, _, text = format_override(hint, "field", value).partition("=")
    back = parse_text(hint, text, name)
    assert back == value
    assert type(back) is type(value)


def test_type_names_read_like_source():
    assert type_name(float | None) == "float | None"
    assert type_name(tuple[int, ...]) == "tuple[int, ...]"
    assert type_name(Literal["a", 1]) == "'a' | 1"


def test_lab_loads_no_torch():
    code = (
        "import sys, coset.lab, coset.lab.runner, coset.lab.overrides, coset.lab.progress,"
        "coset.lab.figure_style;"
        "print([m for m in ('torch','numba','scipy','matplotlib','numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
