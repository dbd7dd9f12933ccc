"""The code that an experiment's rows depend on: what its module imports, as far as it is coset's.

Imports are read from the source, those inside functions too. Comments, docstrings and layout do not
count: rows stay current when only they change.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["source_digest"]


def source_digest(module: str) -> str:
    """Return a digest of the code that an experiment's rows can depend on.

    Args:
        module: where the experiment is defined.

    Returns:
        64 hexadecimal digits: of the module's code and of all modules of coset that it imports,
        directly or through others. What a package's ``__init__`` loads besides does not count, nor
        do comments and docstrings.

    Complexity: O(imported code), once for each file and process.
    """
    digest = hashlib.sha256()
    for name, path in sorted(_reached(module).items()):
        digest.update(f"{name} {_code_and_imports(path)[0]}\n".encode())
    return digest.hexdigest()


def _reached(module: str) -> dict[str, Path]:
    """Return the files of a module and of the modules of coset that it imports, by name."""
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = None if name in found else _source_file(name)
        if path is not None:
            found[name] = path
            waiting += _code_and_imports(path)[1]
    return found


def _source_file(module: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        spec = None
    origin = spec.origin if spec else getattr(sys.modules.get(module), "__file__", None)
    return Path(origin) if origin and origin.endswith(".py") else None


@functools.cache
def _code_and_imports(path: Path) -> tuple[str, tuple[str, ...]]:
    """Return a digest of a file's code, and the names under which it imports from coset."""
    tree = ast.parse(path.read_bytes())
    names = tuple(dict.fromkeys(_imports(tree)))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                value.value = ""
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), names


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if _is_ours(alias.name))
        elif isinstance(node, ast.ImportFrom) and _is_ours(node.module or ""):
            # The package's own file, for the names that it defines; and names that are modules.
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _is_ours(name: str) -> bool:
    return name == "coset" or name.startswith("coset.")
