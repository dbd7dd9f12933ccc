"""Bayesian networks as BIF files: three written here, in three dialects, and those of pgmpy."""

from __future__ import annotations

import importlib.util
from pathlib import Path

# As bnlearn and pgmpy write: rows for parents, one comma between any two items.
COOKIES = """network cookies {
}
variable oven {
  type discrete [ 2 ] { on, off };
}
variable timer {
  type discrete [ 3 ] { short, right, long };
}
variable cookie {
  type discrete [ 3 ] { raw, baked, burnt };
}
probability ( oven ) {
  table 0.95, 0.05;
}
probability ( timer ) {
  table 0.2, 0.7, 0.1;
}
probability ( cookie | oven, timer ) {
  (on, short) 0.6, 0.35, 0.05;
  (off, short) 1.0, 0.0, 0.0;
  (on, right) 0.05, 0.9, 0.05;
  (off, right) 0.99, 0.01, 0.0;
  (on, long) 0.01, 0.29, 0.7;
  (off, long) 0.98, 0.02, 0.0;
}
"""

# As JavaBayes writes: quotes, no commas, no bar, whole tables, properties and comments.
GARDEN = """// Made by hand
network "The garden" { // 3 variables
    property "seen from: the kitchen; at night" ;
    property version 1.1 ;
}
variable  "rain" { // 2 values
    type discrete[2] {  "yes"  "no" };
    property "position = (73, 165)" ;
}
variable  "wet grass" {
    property position = (10, 20) ;
    type discrete[2] { "yes" "no" };
}
variable  "sprinkler" { type discrete[2] { "yes" "no" }; }
probability ( "rain" ) { table 0.2 0.8 ; }
probability ( "sprinkler" "rain" ) { /* the target's
    first value first */
    table 0.01 0.4 0.99 0.6 ;
}
probability ( "wet grass" "sprinkler" "rain" ) {
    table 0.99 0.9 0.8 0 0.01 0.1 0.2 1. ;
}
"""

# Odd names, numbers as values, defaults, blocks in another order, a rounded row.
CLINIC = """network 24-7/clinic {}
probability ( dose:mg | <5y, Asy/Patch ) {
  (>=5y, 0-3_days) 0.1, 0.2, 0.7;
  default 0.3333333, 0.3333333, 0.3333333;
}
variable <5y { type discrete [ 2 ] { <5y, >=5y }; }
variable Asy/Patch { type discrete [ 3 ] { 0-3_days, 4+, "a, (b) // c" }; }
variable dose:mg { type discrete [ 3 ] { 0, 2.5, 5 }; }
variable constant { type discrete [ 1 ] { table }; }
probability ( <5y ) { default 1e-1, 9E-1; }
probability ( Asy/Patch | constant ) { ("table") .25, .25, 0.5; }
probability ( constant ) { table 1; }
"""

CASES = {"cookies": COOKIES, "garden": GARDEN, "clinic": CLINIC}


def pgmpy_networks() -> dict[str, Path]:
    """Return the BIF files of pgmpy by their names, none if it is not installed."""
    found = importlib.util.find_spec("pgmpy")
    if found is None or found.origin is None:
        return {}
    folder = Path(found.origin).parent / "utils" / "example_models"
    return {path.name.removesuffix(".bif.gz"): path for path in sorted(folder.glob("*.bif.gz"))}
