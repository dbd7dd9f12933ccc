"""What a timing depends on: processor, SIMD in use, threads, load, allocator, versions, commit."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import sys
from pathlib import Path
from typing import Any

from coset.core.provenance import git

__all__ = [
    "checkout_folder",
    "commit_facts",
    "load_average",
    "machine_facts",
    "machine_slug",
    "process_facts",
]

_PACKAGES = ("torch", "numpy", "numba", "scipy", "coset")
_ALLOCATOR_VARIABLES = ("LD_PRELOAD", "GLIBC_TUNABLES", "MALLOC_ARENA_MAX", "MALLOC_CONF")


def machine_facts() -> dict[str, Any]:
    """Return what is true of the machine while all processes of a run live.

    Returns:
        Processor (name, family, model, counts, caches), memory, system, page settings.
    """
    cpu = _cpu_fields()
    pages = _read(Path("/sys/kernel/mm/transparent_hugepage/enabled"))
    return {
        "cpu": cpu.get("model name") or platform.processor() or platform.machine(),
        "cpu_family": cpu.get("cpu family", ""),
        "cpu_model": cpu.get("model", ""),
        "num_cpus": os.cpu_count(),
        "num_usable_cpus": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "caches": _caches(),
        "memory_bytes": _memory_bytes(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "huge_pages": next(iter(re.findall(r"\[(\w+)\]", pages)), "unknown"),
    }


def machine_slug(facts: dict[str, Any]) -> str:
    """Return a file-name part for a machine: processor, family and model.

    Args:
        facts: as `machine_facts` returns them.

    Returns:
        Lower-case letters, digits and hyphens.

    Example:
        >>> machine_slug({"cpu": "AMD EPYC 9B14", "cpu_family": "25", "cpu_model": "17"})
        'amd-epyc-9b14-25-17'
    """
    text = f"{facts['cpu']} {facts['cpu_family']} {facts['cpu_model']}".lower()
    return re.sub(r"[^a-z0-9]+", "-", text).strip("-") or "unknown"


def process_facts() -> dict[str, Any]:
    """Return what is true of the calling process: SIMD in use, threads, allocator, versions.

    Returns:
        A dictionary of JSON values.
    """
    import llvmlite.binding
    import numba
    import numpy as np
    import torch

    simd: Any = np.show_config(mode="dicts")
    extensions = simd.get("SIMD Extensions", {})
    return {
        "numpy_simd": {
            "baseline": list(extensions.get("baseline", [])),
            "dispatched": list(extensions.get("found", [])),
            "not_used": list(extensions.get("not found", [])),
        },
        "torch_simd": torch.backends.cpu.get_cpu_capability(),
        "numba_target": llvmlite.binding.get_host_cpu_name(),
        "threads": {
            "torch": torch.get_num_threads(),
            "numba": numba.get_num_threads(),
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", ""),
        },
        "allocator": _allocator(),
        "versions": _versions(),
    }


def _allocator() -> dict[str, str]:
    given = {name: os.environ.get(name, "") for name in _ALLOCATOR_VARIABLES}
    if given["LD_PRELOAD"]:
        given["LD_PRELOAD"] = " ".join(Path(part).name for part in given["LD_PRELOAD"].split())
    return {name: value for name, value in given.items() if value}


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            module = sys.modules.get(package)
            found[package] = str(getattr(module, "__version__", "not installed"))
    return found


def load_average() -> list[float]:
    """Return the load average over 1, 5 and 15 minutes, or nothing where there is none."""
    try:
        return [round(value, 2) for value in os.getloadavg()]
    except (AttributeError, OSError):
        return []


def checkout_folder() -> Path | None:
    """Return the root of the checkout that this package runs from, if it is one.

    Returns:
        The folder with ``pyproject.toml`` and ``benchmarks``, or ``None`` for an installed package.
    """
    root = Path(__file__).resolve().parents[3]
    whole = (root / "pyproject.toml").is_file() and (root / "benchmarks").is_dir()
    return root if whole else None


def commit_facts(root: Path | None) -> dict[str, Any]:
    """Return the commit of a checkout and which source files differ from it.

    Args:
        root: the checkout, or ``None``.

    Returns:
        ``commit`` (empty if unknown) and ``changed``, the changed or unknown files under ``src``.
    """
    if root is None:
        return {"commit": "", "changed": []}
    commit = git(root, "rev-parse", "HEAD") or ""
    status = git(root, "status", "--porcelain", "--untracked-files=all", "--", "src") or ""
    return {"commit": commit.strip(), "changed": sorted(line[3:] for line in status.splitlines())}


def _cpu_fields() -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in _read(Path("/proc/cpuinfo")).splitlines():
        if not line.strip():
            break
        name, _, value = line.partition(":")
        fields[name.strip()] = value.strip()
    return fields


def _caches() -> dict[str, str]:
    found = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind = _read(folder / "level").strip(), _read(folder / "type").strip()
        if kind != "Instruction":
            found[f"L{level}"] = _read(folder / "size").strip()
    return found


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 0


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
