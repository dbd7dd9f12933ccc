"""What the tests of Triton kernels share: Triton's interpreter in a process, and its compiler."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent


def interpret(module: str, *cases: str) -> None:
    """Run a module of the tests by the interpreter, which is chosen at the import of Triton."""
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", module, *cases],
        env=environment,
        cwd=TESTS,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["same"], done.stderr[-2000:]


def compile_for_gpu(kernel: Any, types: Mapping[str, str], constants: Mapping[str, int]) -> str:
    """Return the PTX of a kernel for compute capability 9.0; other arguments are 64-bit integers.

    The interpreter accepts more than the compiler does; this needs no GPU.
    """
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    signature = {
        name: types.get(name, "constexpr" if name in constants else "i64")
        for name in kernel.arg_names
    }
    places = {(kernel.arg_names.index(k),): v for k, v in constants.items()}
    source = ASTSource(fn=kernel, signature=signature, constexprs=places)
    return str(triton.compile(source, target=GPUTarget("cuda", 90, 32)).asm["ptx"])
