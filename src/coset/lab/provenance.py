"""Where rows come from: versions, machine and source code, without user, host or folder names."""

from __future__ import annotations

import functools
import os
import platform
import sys
from pathlib import Path
from typing import Any

import coset
from coset.core.provenance import cpu_model, git, package_version
from coset.lab.sources import source_digest

__all__ = ["checkout_commit", "environment"]

_PACKAGES = ("torch", "numpy", "scipy", "numba", "safetensors")


def environment(module: str, num_threads: int) -> dict[str, Any]:
    """Return what ``env.json`` holds.

    Args:
        module: where the experiment is defined.
        num_threads: threads that the run may use.

    Returns:
        Versions, commit, source digest, CPU, GPU, threads and platform, as JSON values.
    """
    commit, has_changes = checkout_commit()
    return {
        "python": platform.python_version(),
        "coset": coset.__version__,
        "packages": {name: package_version(name) for name in _PACKAGES},
        "commit": commit,
        "uncommitted_changes": has_changes,
        "source_sha256": source_digest(module),
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu": cpu_model(),
        "num_cpus": _num_cpus(),
        "num_threads": num_threads,
        "gpu": _gpu_model(),
    }


@functools.cache
def checkout_commit() -> tuple[str | None, bool | None]:
    """Return the checkout's commit and whether files changed since; ``None`` if there is none."""
    package = Path(coset.__file__).parent
    top = git(package, "rev-parse", "--show-toplevel")
    # An installed coset may lie inside another project's repository, whose commit says nothing.
    if not top or Path(top).resolve() != package.parent.parent.resolve():
        return None, None
    status = git(package, "status", "--porcelain", "--untracked-files=no")
    return git(package, "rev-parse", "HEAD") or None, None if status is None else bool(status)


def _num_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _gpu_model() -> str | None:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    return str(torch.cuda.get_device_name())
