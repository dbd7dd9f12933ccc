"""Which implementations an operation has, which one is chosen on a device, and why not another.

Registering a backend stores a name and a probe; the probe (does the compiler import?) runs when
somebody asks. Nothing falls back in silence: `choose` warns once when the first choice is missing.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from coset.core.errors import UnavailableError, UnknownNameError

__all__ = [
    "Backend",
    "BackendRow",
    "always",
    "backends",
    "chosen_backend",
    "register_backend",
    "requires_module",
    "use_backend",
]

Probe = Callable[[], tuple[bool, str]]


@dataclass(frozen=True)
class Backend:
    """One implementation of one operation on one kind of device.

    Attributes:
        op: the operation, "subject.name".
        name: the implementation: "reference", "eager", "numba", "triton".
        device: "cpu" or "cuda".
        probe: returns (available, reason); runs on demand, never at import.
        note: what the implementation is for, in a few words.
    """

    op: str
    name: str
    device: str
    probe: Probe
    note: str = ""


@dataclass(frozen=True)
class BackendRow:
    """One line of `backends()`: what is there, what is chosen, and the reason."""

    op: str
    name: str
    device: str
    available: bool
    chosen: bool
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Return the row as a dictionary of JSON values."""
        return asdict(self)


_BACKENDS: dict[tuple[str, str], list[Backend]] = {}
_OVERRIDES: dict[str, str] = {}
_WARNED: set[tuple[str, str]] = set()


def always() -> tuple[bool, str]:
    """Probe of an implementation that needs nothing beyond the required packages."""
    return True, "always available"


def requires_module(module: str, remedy: str) -> Probe:
    """Return a probe that asks whether `module` can be imported.

    Args:
        module: the module's full name.
        remedy: what to do when it cannot, as a command.

    Returns:
        The probe.
    """

    def probe() -> tuple[bool, str]:
        import importlib

        try:
            importlib.import_module(module)
        except ImportError as error:
            return False, f"{module} cannot be imported ({error}); {remedy}"
        return True, f"{module} is installed"

    return probe


def register_backend(backend: Backend) -> None:
    """Add an implementation; those registered first are preferred.

    Args:
        backend: the implementation; a second one of the same op, device and name replaces it.
    """
    rows = _BACKENDS.setdefault((backend.op, backend.device), [])
    rows[:] = [row for row in rows if row.name != backend.name] + [backend]


def _candidates(op: str, device: str) -> list[Backend]:
    if (op, device) not in _BACKENDS:
        known = [f"{name} on {kind}" for name, kind in _BACKENDS]
        raise UnknownNameError.of("operation", f"{op} on {device}", known)
    return _BACKENDS[op, device]


def chosen_backend(op: str, device: str = "cpu") -> str:
    """Return the name of the implementation that `op` uses on `device`.

    Args:
        op: the operation.
        device: "cpu" or "cuda".

    Returns:
        The override of `use_backend` if there is one, else the first available in order of
        registration.

    Raises:
        UnknownNameError: if the operation or the override is not registered.
        UnavailableError: if nothing is available, or the override is not.
    """
    candidates = _candidates(op, device)
    if (wanted := _OVERRIDES.get(op)) is not None:
        chosen = next((b for b in candidates if b.name == wanted), None)
        if chosen is None:
            raise UnknownNameError.of(f"backend of {op}", wanted, [b.name for b in candidates])
        available, reason = chosen.probe()
        if not available:
            raise UnavailableError(f"backend {wanted!r} of {op} is not available: {reason}")
        return wanted
    reasons: list[str] = []
    for candidate in candidates:
        available, reason = candidate.probe()
        if available:
            if reasons and (op, device) not in _WARNED:
                _WARNED.add((op, device))
                warnings.warn(
                    f"{op} on {device} uses {candidate.name!r}: {'; '.join(reasons)}", stacklevel=3
                )
            return candidate.name
        reasons.append(f"{candidate.name!r} is not available: {reason}")
    raise UnavailableError(f"{op} has no implementation on {device}: {'; '.join(reasons)}")


@contextlib.contextmanager
def use_backend(op: str, name: str) -> Iterator[None]:
    """Force one implementation of an operation inside a ``with`` block.

    Args:
        op: the operation.
        name: the implementation's name.

    Yields:
        Nothing.

    Raises:
        UnknownNameError: if no device has that implementation.
    """
    names = {b.name for (o, _), rows in _BACKENDS.items() if o == op for b in rows}
    if name not in names:
        raise UnknownNameError.of(f"backend of {op}", name, names)
    previous = _OVERRIDES.get(op)
    _OVERRIDES[op] = name
    try:
        yield
    finally:
        if previous is None:
            _OVERRIDES.pop(op, None)
        else:
            _OVERRIDES[op] = previous


def backends() -> list[BackendRow]:
    """Return every registered implementation with its availability, the choice and the reason.

    Returns:
        One row an implementation, sorted by operation and device, in order of preference.
    """
    table: list[BackendRow] = []
    for (op, device), candidates in sorted(_BACKENDS.items()):
        probes = [(b, *b.probe()) for b in candidates]
        wanted = _OVERRIDES.get(op)
        names = [b.name for b, available, _ in probes if available and wanted in (None, b.name)]
        for backend, available, reason in probes:
            chosen = bool(names) and backend.name == names[0]
            text = f"{backend.note}; {reason}" if backend.note else reason
            table.append(BackendRow(op, backend.name, device, available, chosen, text))
    return table
