"""The dense layer as one op, and plain matrix products.

    z = x W + b,  out = f(z)            x: (n, in)   W: (in, out)   b: (out,)   out: (n, out)

    dz = dout * f'(z)
    dx = dz W^T,  dW = x^T dz,  db = sum over rows of dz

W is stored (in, out): the row-major product x W is the fast case of every BLAS, and the first layer
of a network, which needs no dx, then meets no slow one at all.

Source: Rumelhart, Hinton & Williams, "Learning representations by back-propagating errors", 1986.
"""

from typing import Any

from ..activation.reference import KINDS, activation_backward
from ..spec import Array


def dense_forward(
    xp: Any,
    out: Array,
    pre: Array | None,
    x: Array,
    weight: Array,
    bias: Array | None,
    *,
    activation: str,
    alpha: float,
    save_pre: bool,
) -> None:
    """out = f(x W + b); `pre`, when asked for, keeps z for activations that need it backward."""
    z = out if pre is None else pre
    xp.matmul(x, weight, out=z)
    if bias is not None:
        xp.add(z, bias, out=z)
    if activation != "identity":
        out[...] = KINDS[activation][0](xp, z, alpha)
    elif z is not out:
        out[...] = z


def dense_backward(
    xp: Any,
    dz: Array | None,
    dx: Array | None,
    dweight: Array | None,
    dbias: Array | None,
    dout: Array,
    x: Array,
    weight: Array,
    saved: Array,
    *,
    activation: str,
    alpha: float,
    needs: tuple[bool, bool, bool],
) -> None:
    """Gradients by x, W and b as `needs` says; `dz` is scratch, absent for the identity.

    `saved` is z or out, as the activation's derivative needs it.
    """
    if dz is None:
        dz = dout
    else:
        activation_backward(xp, dz, dout, saved, kind=activation, alpha=alpha)
    if dx is not None:
        xp.matmul(dz, weight.T, out=dx)
    if dweight is not None:
        xp.matmul(x.T, dz, out=dweight)
    if dbias is not None:
        dz.sum(axis=0, out=dbias)


def matmul(xp: Any, out: Array, a: Array, b: Array) -> None:
    """out = a b with a: (..., m, k), b: (..., k, n), out: (..., m, n); leading axes broadcast."""
    xp.matmul(a, b, out=out)
