"""Claims: what a paper (or we) assert, as data, with a judge that can fail and mutants that must.

A claim is registered by decorating its judge::

    @claim("sharing.C5", title=…, statement=…, hypotheses=…, source="[derived]", kind="proved",
           expected="holds", mutants={"d instead of d - 1": prox_with_d}, near_misses=inputs)
    def C5(prox=prox_sharing, *, preset, generator) -> ClaimResult: ...

The thing under test is the judge's first argument, so that a mutant is the same call with another
function. An empirical claim names its experiment and judges rows: its first argument is the list of
rows, and a mutant is a function from rows to rows. Judges never train. `coset.core.judging` runs
judges and mutants.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from coset.core.errors import ConfigError, UnknownNameError
from coset.core.provenance import source_place
from coset.core.registry import SUBJECTS, built_subjects, find_subject, load

__all__ = [
    "Claim",
    "ClaimResult",
    "Expected",
    "Kind",
    "all_claims",
    "changed_rows",
    "claim",
    "claims_of",
    "find_claim",
    "realized_in",
]

Kind = Literal["proved", "exhaustive", "statistical", "empirical", "conjecture"]
Expected = Literal["holds", "refuted", "open", "unavailable"]
Judge = Callable[..., "ClaimResult"]

_ID = re.compile(r"[a-z]+\.C\d+[a-z]?")


@dataclass(frozen=True)
class ClaimResult:
    """What a judge saw.

    Attributes:
        holds: ``True``, ``False``, or ``None`` when it was measured but cannot be decided (open).
        measured: the decisive figure: the largest error, the number of violations, an accuracy.
        bound: what `measured` was compared with.
        detail: one sentence for a reader.
        sample_size: how many cases were checked.
        interval: a confidence interval of `measured`, for open and statistical claims.
        false_alarm: probability that a true claim is refuted by chance; at most 1e-6.
        counterexample: the first failing input, as JSON values, enough to replay it.
        evidence: further figures, as JSON values.
    """

    holds: bool | None
    measured: float | None = None
    bound: float | None = None
    detail: str = ""
    sample_size: int = 0
    interval: tuple[float, float] | None = None
    false_alarm: float | None = None
    counterexample: Mapping[str, Any] | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the result as a dictionary of JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Claim:
    """One claim and its judge.

    Attributes:
        id: "subject.Cn", or "subject.Cna".
        title: a few words.
        statement: what is asserted, in plain unicode mathematics.
        hypotheses: under which conditions.
        source: "[paper]", "[code]", "[site]" or "[derived]", with the place.
        kind: how it is established.
        expected: the verdict that was committed before the run.
        judge: the check; its first argument is the thing under test.
        subject_under_test: the right function, or ``None`` for an empirical claim.
        mutants: name to near-miss function (for an empirical claim: from rows to rows).
        near_misses: returns argument tuples; on at least one, each mutant equals the right code.
        experiment: the experiment whose rows an empirical claim judges.
        file: the judge's source file, from the package's name on.
        line: the line of the judge.
    """

    id: str
    title: str
    statement: str
    hypotheses: str
    source: str
    kind: Kind
    expected: Expected
    judge: Judge
    subject_under_test: Callable[..., Any] | None
    mutants: Mapping[str, Callable[..., Any]]
    near_misses: Callable[[], Iterable[tuple[Any, ...]]]
    experiment: str | None
    file: str
    line: int

    @property
    def subject(self) -> str:
        """The subject's name: what stands before the dot."""
        return self.id.split(".")[0]

    @property
    def test(self) -> str:
        """The file, and how the name of the test begins, that judges this claim and its mutants."""
        return f"tests/{self.subject}/test_claims.py::test_{self.id.split('.')[1]}"


def changed_rows(
    choose: Callable[[dict[str, Any]], bool], **values: object
) -> Callable[[Sequence[dict[str, Any]]], list[dict[str, Any]]]:
    """Return a mutant for an empirical claim: the chosen rows get other values.

    Args:
        choose: tells whether a row is changed.
        **values: columns and what stands in them instead.

    Returns:
        A function from rows to rows; those given stay as they are.
    """

    def changed(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**row, **values} if choose(row) else dict(row) for row in rows]

    return changed


_CLAIMS: dict[str, Claim] = {}


def claim(
    id: str,
    *,
    title: str,
    statement: str,
    hypotheses: str,
    source: str,
    kind: Kind,
    expected: Expected,
    mutants: Mapping[str, Callable[..., Any]],
    near_misses: Callable[[], Iterable[tuple[Any, ...]]] | None = None,
    experiment: str | None = None,
) -> Callable[[Judge], Judge]:
    """Register the decorated judge as a claim.

    Args:
        id: "subject.Cn" with an optional lower-case letter; literal text, never composed.
        title: a few words.
        statement: the assertion.
        hypotheses: its conditions.
        source: where it comes from, with its mark.
        kind: how it is established.
        expected: the verdict committed before the run.
        mutants: near misses that the judge must refute; at least one.
        near_misses: stored non-trivial inputs, required unless the claim is empirical.
        experiment: for an empirical claim, the experiment whose rows are judged.

    Returns:
        The decorator, which returns the judge unchanged.

    Raises:
        ConfigError: if the id, kind or verdict is malformed, the id is taken, or mutants miss.
    """
    _check_fields(id, kind, expected, mutants, near_misses, experiment)

    def register(judge: Judge) -> Judge:
        previous = _CLAIMS.get(id)
        if previous is not None and previous.judge.__module__ != judge.__module__:
            raise ConfigError(f"claim {id} is registered twice: {previous.file}:{previous.line}")
        file, line = source_place(judge)
        _CLAIMS[id] = Claim(
            id=id,
            title=title,
            statement=inspect.cleandoc(statement),
            hypotheses=inspect.cleandoc(hypotheses),
            source=source,
            kind=kind,
            expected=expected,
            judge=judge,
            subject_under_test=None if experiment else _default_of_first(id, judge),
            mutants=dict(mutants),
            near_misses=near_misses or (lambda: ()),
            experiment=experiment,
            file=file,
            line=line,
        )
        return judge

    return register


def _check_fields(
    id: str,
    kind: str,
    expected: str,
    mutants: Mapping[str, Any],
    near_misses: object,
    experiment: str | None,
) -> None:
    if not _ID.fullmatch(id):
        raise ConfigError(f"a claim's id must look like sharing.C5 or sharing.C5b; given {id!r}")
    if kind not in get_args(Kind):
        raise ConfigError(f"{id}: kind must be one of {get_args(Kind)}; given {kind!r}")
    if expected not in get_args(Expected):
        raise ConfigError(f"{id}: expected must be one of {get_args(Expected)}; given {expected!r}")
    if not mutants:
        raise ConfigError(
            f"{id}: a claim needs at least one mutant; a check that cannot fail is a defect"
        )
    if experiment is None and near_misses is None:
        raise ConfigError(
            f"{id}: name near_misses, inputs on which the mutants equal the right code"
        )


def _default_of_first(id: str, judge: Judge) -> Callable[..., Any]:
    parameters = list(inspect.signature(judge).parameters.values())
    default = parameters[0].default if parameters else inspect.Parameter.empty
    if default is inspect.Parameter.empty or not callable(default):
        raise ConfigError(
            f"{id}: the judge's first argument must be the thing under test, with the right "
            f"function as its default"
        )
    return default


def claims_of(subject: str) -> list[Claim]:
    """Return a subject's claims in the order of their numbers; loads the subject.

    Args:
        subject: a subject's name.

    Returns:
        The claims; empty if the subject is not built.

    Raises:
        UnknownNameError: if the subject is unknown.
    """
    load(find_subject(subject).name, "claims")
    found = [c for c in _CLAIMS.values() if c.subject == subject]
    return sorted(found, key=_order)


def _order(item: Claim) -> tuple[int, str]:
    match = re.search(r"C(\d+)([a-z]?)$", item.id)
    assert match is not None
    return int(match[1]), match[2]


def all_claims() -> list[Claim]:
    """Return the claims of every subject that is built, subject by subject."""
    return [c for subject in built_subjects() for c in claims_of(subject.name)]


def find_claim(id: str) -> Claim:
    """Return the claim of that id; loads its subject only.

    Args:
        id: for instance "sharing.C5".

    Returns:
        The claim.

    Raises:
        UnknownNameError: if there is none, with the nearest ids.
    """
    subject = id.split(".")[0]
    if subject in {s.name for s in SUBJECTS}:
        claims_of(subject)
    if id in _CLAIMS:
        return _CLAIMS[id]
    raise UnknownNameError.of("claim", id, _CLAIMS or [c.id for c in all_claims()])


def realized_in(item: Claim) -> list[str]:
    """Return what realizes a claim: definitions of its subject whose text names the claim's id.

    Args:
        item: the claim.

    Returns:
        "file:line name" of each definition ("file:line" outside of one), without the claims' own
        files; the id is literal text in the docstrings of what realizes it.
    """
    package = Path(sys.modules[f"coset.{item.subject}"].__file__ or "").parent
    pattern = re.compile(re.escape(item.id) + r"(?![0-9a-z])")
    places: list[str] = []
    for path in sorted(package.rglob("*.py")):
        if path.stem == "claims" or path.parent.name == "claims":
            continue
        text = path.read_text(encoding="utf-8")
        if pattern.search(text):
            name = f"coset/{path.relative_to(package.parent)}"
            places += [f"{name}:{place}" for place in _definitions(text, pattern)]
    return list(dict.fromkeys(places))


def _definitions(text: str, pattern: re.Pattern[str]) -> list[str]:
    """Return "line name" of the innermost definition around each match, "line" if there is none."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, kinds)]
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if pattern.search(line):
            around = [n for n in nodes if n.lineno <= number <= (n.end_lineno or n.lineno)]
            inner = max(around, key=lambda n: n.lineno, default=None)
            found.append(f"{inner.lineno} {inner.name}" if inner else str(number))
    return found
