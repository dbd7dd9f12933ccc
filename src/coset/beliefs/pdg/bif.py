"""Bayesian networks in BIF, the interchange format of bnlearn, pgmpy and JavaBayes.

The file holds a network block, a block for each variable and one for its distribution::

    network dogs { property made by hand; }
    variable out { type discrete [ 2 ] { yes, no }; }
    variable bark { type discrete [ 2 ] { "loud", none }; }
    probability ( out ) { table 0.15, 0.85; }
    probability ( bark | out ) {
      (yes) 0.7, 0.3;               // one row for each combination of the parents' values
      default 0.01, 0.99;           // for the rows that are not listed
    }

Names are words, or text in quotes. Commas may be missing from a list, and so may the bar: the
first name is the target then. ``table`` may also hold a conditional distribution: all numbers,
those of the target's first value first, the last parent changing fastest. Blocks may come in any
order. Properties are passed over.

Published tables are rounded, and their rows do not sum to one exactly. The worst row of the 24
networks of pgmpy 1.1.2 (those of bnlearn's repository; 165,600 rows) is off by 3.0e-7: of seven
numbers with seven digits, 4.3e-8 a number. A row may be off by 1e-6 a number; if it is off by more
than 1e-12, it is divided by its sum. Nowhere else is a belief normalized unasked.
"""

from __future__ import annotations

import graphlib
import gzip
import itertools
import math
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from coset.beliefs.pdg.bif_table import TableReader
from coset.beliefs.pdg.bif_tokens import Tokens, quoted
from coset.beliefs.pdg.variable import Variable
from coset.core.errors import DomainError, FileFormatError
from coset.core.foreign_files import read_text, show

__all__ = [
    "BayesianNetworkFile",
    "BayesianTable",
    "bif_text",
    "parse_bif",
    "read_bayesian_network",
]

_MAX_BYTES = 32 * 2**20  # six times the largest published network
_MAX_VARIABLES = 100_000
_MAX_VALUES = 100_000
_MAX_PARENTS = 32
_MAX_CELLS = 2**24
_COUNT = re.compile("[0-9]{1,9}")


@dataclass(frozen=True, eq=False)
class BayesianTable:
    """The distribution of one variable given its parents.

    Attributes:
        target: the variable's name.
        parents: the parents' names.
        probability: (*parents, target) float64, rows that sum to one.
        largest_deviation: how far the sum of a row of the file was from one, at most.
    """

    target: str
    parents: tuple[str, ...]
    probability: Tensor
    largest_deviation: float = 0.0


@dataclass(frozen=True, eq=False)
class BayesianNetworkFile:
    """What a BIF file holds.

    Attributes:
        name: the network's name.
        variables: the variables, in the file's order.
        tables: one for each variable, in the file's order; their arrows make no cycle.
    """

    name: str
    variables: tuple[Variable, ...]
    tables: tuple[BayesianTable, ...]

    @property
    def largest_deviation(self) -> float:
        """How far the sum of a row of the file was from one, at most."""
        return max((table.largest_deviation for table in self.tables), default=0.0)


def read_bayesian_network(path: Path | str) -> BayesianNetworkFile:
    """Read a BIF file.

    Args:
        path: ends in ".bif" or ".bif.gz"; at most 32 MiB when unpacked, 100,000 variables and 2²⁴
            probabilities.

    Returns:
        The network.

    Raises:
        FileFormatError: if the file is missing, too large or malformed, a row is missing, twice or
            does not sum to one, or the arrows make a cycle; names file and line.
    """
    path = Path(path)
    if path.suffix.lower() == ".gz":
        return parse_bif(_unpacked(path), str(path))
    too_large = f"may have {_MAX_BYTES:,} bytes; it has more"
    return parse_bif(read_text(path, _MAX_BYTES, too_large, "utf-8-sig"), str(path))


def _unpacked(path: Path) -> str:
    try:
        with gzip.open(path) as stream:
            content = stream.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise FileFormatError(f"{path} may unpack to {_MAX_BYTES:,} bytes; it unpacks to more")
        return content.decode("utf-8-sig")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FileFormatError(f"{path} must be a whole gzip file: {error}") from error
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{path} must be UTF-8 text; byte {error.start} is not") from error


def parse_bif(text: str, where: str = "the text") -> BayesianNetworkFile:
    """Read a network from the text of a BIF file.

    Args:
        text: the text.
        where: what an error calls it: the file's name.

    Returns:
        The network.

    Raises:
        FileFormatError: as `read_bayesian_network`.

    Complexity: linear in the text and in the number of probabilities.

    Example:
        >>> network = parse_bif('''network rain { }
        ... variable wet { type discrete [ 2 ] { yes, no }; }
        ... variable rain { type discrete [ 2 ] { yes, no }; }
        ... probability ( rain ) { table 0.2, 0.8; }
        ... probability ( wet | rain ) { (yes) 0.9, 0.1; (no) 0.0, 1.0; }''')
        >>> network.tables[1].parents, network.tables[1].probability.tolist()
        (('rain',), [[0.9, 0.1], [0.0, 1.0]])
    """
    return _Reader(Tokens(text, where)).network()


class _Reader:
    """Reads the blocks of one file."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._variables: dict[str, Variable] = {}
        self._tables: dict[str, BayesianTable] = {}
        self._num_cells = 0

    def network(self) -> BayesianNetworkFile:
        tokens = self._tokens
        tokens.expect("network")
        name = tokens.name("the network's name")
        tokens.expect("{")
        while tokens.peek() == "property":
            tokens.until(";")
        tokens.expect("}")
        blocks = []
        while word := tokens.peek():
            if word == "variable":
                self._variable()
            elif word == "probability":
                blocks.append(tokens.place)  # read later: its variables may still follow
                tokens.until("}")
            else:
                raise tokens.error(
                    f"a block must begin with 'variable' or 'probability'; {tokens.given()}"
                )
        end = tokens.place
        for tokens.place in blocks:
            self._probability()
        tokens.place = end
        self._check_whole()
        variables = tuple(self._variables.values())
        return BayesianNetworkFile(name, variables, tuple(self._tables.values()))

    def _check_whole(self) -> None:
        for name in self._variables:
            if name not in self._tables:
                raise self._tokens.error(
                    f"each variable must have a block 'probability ( … )'; {show(name)} has none"
                )
        try:
            parents = {table.target: table.parents for table in self._tables.values()}
            graphlib.TopologicalSorter(parents).prepare()
        except graphlib.CycleError as error:
            raise self._tokens.error(
                f"the arrows of a Bayesian network must make no cycle; given "
                f"{' → '.join(show(name) for name in error.args[1][:10])}; a graph with cycles is "
                f"written as JSON"
            ) from None

    def _variable(self) -> None:
        tokens = self._tokens
        tokens.expect("variable")
        place = tokens.place
        name = tokens.name("the variable's name")
        if name in self._variables:
            raise tokens.error(f"a variable must be there once; {show(name)} is twice", place)
        if len(self._variables) == _MAX_VARIABLES:
            raise tokens.error(f"a network may have {_MAX_VARIABLES:,} variables; it has more")
        tokens.expect("{")
        values: list[str] = []
        while tokens.peek() != "}":
            if tokens.peek() == "property":
                tokens.until(";")
            elif not values:
                values = self._values(name)
            else:
                raise tokens.error(f"here must be 'property' or '}}'; {tokens.given()}")
        if not values:
            raise tokens.error(f"variable {show(name)} must have 'type discrete [ n ] {{ … }};'")
        tokens.expect("}")
        self._variables[name] = Variable(name, len(values), tuple(values))

    def _values(self, name: str) -> list[str]:
        tokens = self._tokens
        for word in ("type", "discrete", "["):
            tokens.expect(word)
        place = tokens.place
        count = tokens.until("]")
        if len(count) != 1 or not _COUNT.fullmatch(count[0]):
            raise tokens.error("here must be the number of values", place)
        tokens.expect("{")
        values = tokens.names("}", f"a value of {show(name)}")
        tokens.expect(";")
        if len(values) != int(count[0]) or not 1 <= len(values) <= _MAX_VALUES:
            raise tokens.error(
                f"{show(name)} must have the values that it declares, 1 to {_MAX_VALUES:,}; it "
                f"declares {int(count[0]):,} and has {len(values):,}",
                place,
            )
        return values

    def _probability(self) -> None:
        tokens = self._tokens
        tokens.expect("probability")
        tokens.expect("(")
        place = tokens.place
        target = tokens.name("the target's name")
        bar = tokens.peek() in ("|", ",")
        tokens.place += bar
        parents = tokens.names(")", "a parent's name")
        if (bar and not parents) or len(parents) > _MAX_PARENTS:
            raise tokens.error(
                f"here must be 1 to {_MAX_PARENTS} parents; given {len(parents)}", place
            )
        for name in (target, *parents):
            if name not in self._variables:
                raise tokens.error(f"here must be names of variables; {show(name)} is none", place)
        if target in parents or target in self._tables:
            raise tokens.error(
                f"each variable must have one distribution, given others; see {show(target)}", place
            )
        axes = [self._variables[name] for name in (*parents, target)]
        self._num_cells += math.prod(variable.card for variable in axes)
        if self._num_cells > _MAX_CELLS:
            raise tokens.error(
                f"a network may have {_MAX_CELLS:,} probabilities; with those of {show(target)} it "
                f"has {self._num_cells:,}",
                place,
            )
        probability, deviation = TableReader(tokens, axes).read()
        self._tables[target] = BayesianTable(target, tuple(parents), probability, deviation)


def bif_text(network: BayesianNetworkFile) -> str:
    """Return a network as the text of a BIF file.

    Args:
        network: the network; variables without names for their values get 0, 1, ….

    Returns:
        The text; `parse_bif` finds the same numbers in it.

    Raises:
        DomainError: if a name cannot be written.
    """
    words = {
        variable.name: [_word(v) for v in variable.values or map(str, range(variable.card))]
        for variable in network.variables
    }
    lines = [f"network {_word(network.name)} {{", "}"]
    for name, values in words.items():
        lines.append(f"variable {_word(name)} {{")
        lines.append(f"  type discrete [ {len(values)} ] {{ {', '.join(values)} }};")
        lines.append("}")
    for table in network.tables:
        given = f" | {', '.join(map(_word, table.parents))}" if table.parents else ""
        lines.append(f"probability ( {_word(table.target)}{given} ) {{")
        rows = table.probability.double().flatten(0, -2) if given else table.probability[None]
        combinations = itertools.product(*(words[parent] for parent in table.parents))
        for combination, row in zip(combinations, rows.tolist(), strict=True):
            start = f"({', '.join(combination)})" if given else "table"
            lines.append(f"  {start} {', '.join(map(repr, row))};")
        lines.append("}")
    return "\n".join(lines) + "\n"


def _word(name: str) -> str:
    if not (word := quoted(name)):
        raise DomainError(
            f"a name in BIF has 1 to 1,000 characters, and no quotation mark or line break; given "
            f"{show(name)}; rename it or write JSON"
        )
    return word
