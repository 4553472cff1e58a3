"""How much arithmetic and how much memory traffic a case needs at least.

Flops are those of the matrix products, 2 n k m for (n, k) times (k, m); the rest is small beside
them. Bytes are those of a step in which every pass reads each array that it needs once and writes
each array that it makes once. A framework that does more of either gets no credit for it, so the
shares of the machine's limits say how far a faster program is possible.
"""

from __future__ import annotations

from math import prod

from . import networks
from .cases import TRAIN, Case

ITEM = 4  # bytes of a float32


def flops(case: Case) -> int:
    """Of one step or one inference.

    A backward pass has two products a layer, the first layer's gradient by its input left out.

    >>> flops(Case("a", "infer", (3, 5, 2), 7)) == 2 * 7 * (3 * 5 + 5 * 2)
    True
    >>> flops(Case("a", "train", (3, 5, 2), 7)) == 2 * 7 * (2 * 3 * 5 + 3 * 5 * 2)
    True
    """
    if case.network == "mlp":
        products = [2 * case.batch * a * b for a, b in case.layers]
    else:
        products = [2 * case.batch * count for count in networks.products(case.network)]
    if case.kind == TRAIN:
        return 3 * sum(products) - products[0]
    return sum(products)


def parameters(case: Case) -> int:
    """How many numbers are trained."""
    if case.network != "mlp":
        return sum(prod(shape) for shape in networks.shapes(case.network).values())
    return sum((a + 1) * b for a, b in case.layers)


def bytes_moved(case: Case) -> int:
    """Of one step or one inference.

    Forward, a layer reads x, W, b and writes its output; so does an inference. Backward, it reads
    the gradient of its output, its output (for the activation), x and W, and writes the gradients
    by W, b and x; the first layer neither reads W nor writes the last. Adam reads and writes the
    parameters and both moments, and reads the gradients. Of networks other than an MLP only what
    is done to parameters counts.
    """
    if case.network != "mlp":
        return ITEM * 10 * parameters(case)
    n = case.batch
    count = 0
    for i, (a, b) in enumerate(case.layers):
        parameter = (a + 1) * b
        count += n * a + parameter + n * b
        if case.kind == TRAIN:
            count += 2 * n * b + n * a + parameter
            if i:
                count += a * b + n * a
            count += 7 * parameter
    return ITEM * count


def working_set(case: Case) -> int:
    """Bytes of all arrays of a case: in training four a parameter, and activations twice."""
    activations = case.batch * sum(case.widths)
    if case.kind == TRAIN:
        return ITEM * (4 * parameters(case) + 2 * activations)
    return ITEM * (parameters(case) + activations)
