"""The dense layer as one op, and plain matrix products.

    z = x W + b,  out = f(z)            x: (n, in)   W: (in, out)   b: (out,)   out: (n, out)

    dz = dout * f'(z)
    dx = dz W^T,  dW = x^T dz,  db = sum over rows of dz

Where x is another dense layer's output g(y), a backend may go through both at once: the product
for dx is multiplied by g'(y) on its way out, which makes it that layer's dz (`dense_through`). Of a
ReLU this takes one bit an element, `signs`.

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
    signs: Array | None,
    x: Array,
    weight: Array,
    bias: Array | None,
    *,
    activation: str,
    alpha: float,
    save_pre: bool,
    save_signs: bool,
) -> None:
    """out = f(x W + b); `pre`, when asked for, keeps z for activations that need it backward.

    `signs`, when asked for of a ReLU, keeps z > 0: rows of bits, the first the lowest of its byte.
    """
    z = out if pre is None else pre
    xp.matmul(x, weight, out=z)
    if bias is not None:
        xp.add(z, bias, out=z)
    if activation != "identity":
        out[...] = KINDS[activation][0](xp, z, alpha)
    elif z is not out:
        out[...] = z
    if signs is not None:
        pack_signs(xp, signs, out)


def pack_signs(xp: Any, signs: Array, out: Array) -> None:
    """signs (n, bytes of a row) = the bits of out (n, m) > 0, filled up with zeros."""
    bits = xp.packbits(out > 0, axis=1, bitorder="little")
    signs[:, : bits.shape[1]] = bits
    signs[:, bits.shape[1] :] = 0


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


def dense_through(
    xp: Any, dx: Array, dz: Array, weight: Array, saved: Array, *, activation: str
) -> None:
    """dx = (dz W^T) * g'(y), with `saved` = y of gelu_tanh, or the signs of a ReLU's y."""
    xp.matmul(dz, weight.T, out=dx)
    if activation == "relu":
        positive = xp.unpackbits(saved, axis=1, bitorder="little")[:, : dx.shape[1]]
        dx[...] = xp.where(positive, dx, 0)
    else:
        activation_backward(xp, dx, dx, saved, kind=activation, alpha=0.0)


def matmul(xp: Any, out: Array, a: Array, b: Array) -> None:
    """out = a b with a: (..., m, k), b: (..., k, n), out: (..., m, n); leading axes broadcast."""
    xp.matmul(a, b, out=out)
