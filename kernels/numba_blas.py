"""Matrix products inside Numba loops, by NumPy's own OpenBLAS, one thread a call.

OpenBLAS and Numba each have a pool of threads that spin while they wait; a product on the one pool
after a loop on the other costs milliseconds. So products are called inside a loop's own threads,
each for its block, and OpenBLAS is told to use one thread for as long as that takes: `single`
returns how many it used before, and `restore` gives them back, so that products elsewhere in the
user's program keep their speed.

The functions are found in the OpenBLAS library that NumPy's wheel brings (with 64-bit integers:
symbols scipy_cblas_sgemm64_ and so on) and made known to LLVM by name. A name, unlike a function
pointer, can be kept in Numba's disk cache. Other builds of NumPy have no such library: AVAILABLE is
then False, `gemm` must not be called (numba_gemm has a product of its own), and `single` and
`restore` do nothing. The environment variable TERCET_NUMPY_GEMM makes it so anywhere.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from numba.core import types
from numba.extending import overload, register_jitable

from .numba_cache import cached_njit

ROW_MAJOR = 101
# Typed, because Numba would compile `gemm` again for every literal that it is called with.
PLAIN: Any = np.int32(111)
TRANSPOSED: Any = np.int32(112)
SYMBOLS = {
    "tercet_sgemm": "scipy_cblas_sgemm64_",
    "tercet_dgemm": "scipy_cblas_dgemm64_",
    "tercet_get_num_threads": "scipy_openblas_get_num_threads64_",
    "tercet_set_num_threads": "scipy_openblas_set_num_threads64_",
}


def _libraries() -> list[Path]:
    """Where NumPy's wheels keep OpenBLAS on Linux, Windows and macOS."""
    package = Path(np.__file__).parent
    folders = (package.parent / "numpy.libs", package / ".dylibs")
    return [p for folder in folders for p in sorted(folder.glob("*openblas*"))]


def _register() -> bool:
    """Make OpenBLAS's functions known to LLVM; False where there is no such library."""
    if os.environ.get("TERCET_NUMPY_GEMM"):
        return False
    for path in _libraries():
        try:
            library = ctypes.CDLL(str(path))
            found = {name: getattr(library, symbol) for name, symbol in SYMBOLS.items()}
        except (OSError, AttributeError):
            continue
        for name, function in found.items():
            llvm.add_symbol(name, ctypes.cast(function, ctypes.c_void_p).value)
        return True
    return False


AVAILABLE = _register()

_enum, _int, _pointer = types.int32, types.int64, types.intp


def _gemm_of(name: str, scalar: Any) -> Any:
    arguments = (_enum,) * 3 + (_int,) * 3 + (scalar, _pointer, _int, _pointer, _int)
    return types.ExternalFunction(name, types.void(*arguments, scalar, _pointer, _int))


_sgemm = _gemm_of("tercet_sgemm", types.float32)
_dgemm = _gemm_of("tercet_dgemm", types.float64)
_get_num_threads: Any = types.ExternalFunction("tercet_get_num_threads", types.int32())
_set_num_threads: Any = types.ExternalFunction("tercet_set_num_threads", types.void(types.int32))


def _typed_gemm(*arguments: Any) -> Any:
    raise NotImplementedError("only inside a compiled loop")


@overload(_typed_gemm)
def _choose(trans_a, trans_b, m, n, k, one, a, lda, b, ldb, zero, c, ldc):  # type: ignore[no-untyped-def]
    function = {types.float32: _sgemm, types.float64: _dgemm}[one]

    def implementation(trans_a, trans_b, m, n, k, one, a, lda, b, ldb, zero, c, ldc):  # type: ignore[no-untyped-def]
        function(ROW_MAJOR, trans_a, trans_b, m, n, k, one, a, lda, b, ldb, zero, c, ldc)

    return implementation


@cached_njit
def gemm(
    c: Any,
    a: Any,
    b: Any,
    trans_a: int,
    trans_b: int,
    top: int,
    bottom: int,
    left: int,
    right: int,
) -> None:
    """Rows top:bottom and columns left:right of c = op(a) op(b), op the transpose where TRANSPOSED.

    A row's elements are adjacent; rows may lie apart. (Compiled on its own, once for a dtype, and
    linked into the loops that call it.)
    """
    m, n = bottom - top, right - left
    k = a.shape[0] if trans_a == TRANSPOSED else a.shape[1]
    if m <= 0 or n <= 0:
        return
    if k == 0:
        for i in range(top, bottom):
            for j in range(left, right):
                c[i, j] = 0
        return
    _typed_gemm(
        trans_a,
        trans_b,
        m,
        n,
        k,
        c.dtype.type(1),
        a.ctypes.data + top * (a.itemsize if trans_a == TRANSPOSED else a.strides[0]),
        _leading(a),
        b.ctypes.data + left * (b.strides[0] if trans_b == TRANSPOSED else b.itemsize),
        _leading(b),
        c.dtype.type(0),
        c.ctypes.data + top * c.strides[0] + left * c.itemsize,
        _leading(c),
    )


@register_jitable
def _leading(x: Any) -> Any:
    """Elements from one row to the next; BLAS wants a row's length at least."""
    return max(x.strides[0] // x.itemsize, x.shape[1], 1)


@cached_njit
def _single() -> Any:
    """Let OpenBLAS use one thread; how many it used before."""
    before = _get_num_threads()
    _set_num_threads(np.int32(1))
    return before


@cached_njit
def _restore(threads: int) -> None:
    """Give OpenBLAS back the threads that `single` found."""
    _set_num_threads(threads)


@cached_njit
def _no_single() -> Any:
    return np.int32(1)


@cached_njit
def _no_restore(threads: int) -> None:
    pass


single, restore = (_single, _restore) if AVAILABLE else (_no_single, _no_restore)
