"""A dependency graph as JSON, and what may be wrong with its fields."""

from __future__ import annotations

import copy

GOOD = {
    "format": "coset pdg 1",
    "description": "rain in two words",
    "variables": [{"name": "rain", "values": ["no", "yes"]}, {"name": "drops", "card": 3}],
    "arcs": [
        {"name": "radio", "targets": ["rain"], "cpd": [0.2, 0.8], "beta": 2.5},
        {
            "name": "gauge",
            "sources": ["rain"],
            "targets": ["drops"],
            "alpha": 0,
            "cpd": [[1, 0, 0], [0.125, 0.5, 0.375]],
        },
        {"name": "sure", "targets": ["rain"], "beta": "inf", "log_cpd": ["-inf", 0]},
        {"name": "free", "targets": ["rain"], "logits": [1, -1e300], "dtype": "float64"},
    ],
}


def changed(*path, to=None, drop=False):
    """Return GOOD with one field changed."""
    value = copy.deepcopy(GOOD)
    inner = value
    for key in path[:-1]:
        inner = inner[key]
    if drop:
        del inner[path[-1]]
    else:
        inner[path[-1]] = to
    return value


A = ("arcs", 1)  # the gauge
G = r"arcs\[1\] \('gauge'\)"
BAD = {
    "no object": ([], "must be a JSON object; given \\[\\]"),
    "no format": (changed("format", drop=True), "format is missing"),
    "other format": (changed("format", to="coset pdg 2"), "format must be 'coset pdg 1'"),
    "unknown field": (changed("edges", to=[]), "field 'edges' is unknown; known: format, var"),
    "description": (changed("description", to=3), "description must be text; given 3"),
    "variables": (changed("variables", to={}), r"variables must be a list .* given \{\}"),
    "variable": (changed("variables", 0, to="rain"), r"variables\[0\] must be a JSON object"),
    "variable field": (
        changed("variables", 1, "size", to=3),
        r"variables\[1\]: field 'size' is un",
    ),
    "variable name": (changed("variables", 0, "name", to=""), r"variables\[0\]\.name must be text"),
    "half a character": (
        changed("variables", 0, "name", to="\ud800"),
        r"variables\[0\]\.name must",
    ),
    "long name": (changed("variables", 0, "name", to="x" * 1001), r"text of 1 to 1,000 charact"),
    "variable twice": (
        changed("variables", 1, "name", to="rain"),
        r"variables\[1\]\.name must be n",
    ),
    "values and card": (changed("variables", 0, "card", to=2), r"variables\[0\] must have one of"),
    "no values": (changed("variables", 1, "card", drop=True), r"variables\[1\] must have one of"),
    "card 0": (changed("variables", 1, "card", to=0), r"card must be a whole number .* given 0"),
    "card true": (changed("variables", 1, "card", to=True), r"card must be a whole .* given True"),
    "card 3.0": (
        changed("variables", 1, "card", to=3.0),
        r"variables\[1\]\.card must .* given 3.0",
    ),
    "empty values": (changed("variables", 0, "values", to=[]), r"values must be a list of 1 to"),
    "value": (
        changed("variables", 0, "values", 1, to=1),
        r"variables\[0\]\.values\[1\] must be te",
    ),
    "value twice": (
        changed("variables", 0, "values", 1, to="no"),
        r"values must be distinct names",
    ),
    "arc": (changed(*A, to=None), r"arcs\[1\] must be a JSON object; given None"),
    "arc name": (changed(*A, "name", drop=True), r"arcs\[1\]: name is missing"),
    "arc twice": (changed(*A, "name", to="radio"), r"arcs\[1\] \('radio'\): names of arcs are uni"),
    "arc field": (changed(*A, "gamma", to=1), r"arcs\[1\]: field 'gamma' is unknown"),
    "no table": (changed(*A, "cpd", drop=True), rf"{G} must have one of cpd, .* it has 0"),
    "two tables": (changed(*A, "logits", to=[]), rf"{G} must have one of cpd, .* it has 2"),
    "unknown variable": (changed(*A, "sources", to=["sun"]), rf"{G}: there is no variable named"),
    "source text": (changed(*A, "sources", to="rain"), rf"{G}\.sources must be a list of 0 to"),
    "no target": (changed(*A, "targets", to=[]), rf"{G}\.targets must be a list of 1 to"),
    "own source": (changed(*A, "sources", to=["drops"]), rf"{G}: .*no variable twice"),
    "many": (changed(*A, "sources", to=[f"v{i}" for i in range(64)]), rf"{G} may touch 64 variab"),
    "alpha": (changed(*A, "alpha", to="inf"), rf"{G}\.alpha must be a number; given 'inf'"),
    "beta": (changed(*A, "beta", to="-inf"), rf"{G}\.beta must be a number or \"inf\"; given '-in"),
    "beta true": (changed(*A, "beta", to=True), rf"{G}\.beta must be a number .* given True"),
    "huge beta": (changed(*A, "beta", to=10**400), rf"{G}\.beta must be a number"),
    "dtype": (changed(*A, "dtype", to="float16"), rf"{G}\.dtype must be float64 or .*'float16'"),
    "dtype list": (changed(*A, "dtype", to=[]), rf"{G}\.dtype must be float64 or .*given \[\]"),
    "no list": (changed(*A, "cpd", to=1), rf"{G}\.cpd must be a list; given 1"),
    "empty list": (changed(*A, "cpd", to=[]), rf"{G}\.cpd must be lists in lists.* depth 1"),
    "ragged": (changed(*A, "cpd", 1, to=[0.5, 0.5]), rf"{G}\.cpd must be lists .* at depth 2"),
    "mixed": (changed(*A, "cpd", 0, to=1), rf"{G}\.cpd\[1\] must be a number; given \["),
    "text": (
        changed(*A, "cpd", 1, 2, to="0.375"),
        rf"{G}\.cpd\[1\]\[2\] must be a number; given '",
    ),
    "true": (
        changed(*A, "cpd", 0, 0, to=True),
        rf"{G}\.cpd\[0\]\[0\] must be a number; given True",
    ),
    "-inf": (changed(*A, "cpd", 0, 0, to="-inf"), rf"{G}\.cpd\[0\]\[0\] must be a number"),
    "huge": (changed(*A, "cpd", 0, 0, to=10**400), rf"{G}\.cpd must be a number"),
    "shape": (
        changed(*A, "cpd", to=[[1, 0], [0, 1]]),
        rf"{G}: .*of sizes \(2, 3\); given \(2, 2\)",
    ),
    "sum": (changed(*A, "cpd", 1, 2, to=0.4), rf"{G}: each row .* row \(1,\) sums to 1\.025"),
    "negative": (changed(*A, "cpd", 0, to=[1.5, -0.5, 0]), rf"{G}: .*entry \(0, 1\) is negative"),
    "flat logits": (
        changed("arcs", 3, "logits", to=[]),
        r"arcs\[3\] \('free'\)\.logits must be lis",
    ),
    "logit axes": (
        changed("arcs", 3, "sources", to=["drops"]),
        r"\.logits must have 2 axes or more",
    ),
    "wide logits": (changed("arcs", 3, "logits", to=[[0, 0, 0]]), r"'free'\): .*of sizes \(2,\)"),
    "too large logits": (
        changed("arcs", 3, to=GOOD["arcs"][3] | {"logits": [1e300, 0], "dtype": "float32"}),
        r"arcs\[3\] \('free'\): the probabilities of 'free' must be numbers",
    ),
}
