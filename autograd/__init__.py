"""Tensor, the tape over coarse ops, functional forms, and the gradient check."""

from .gradcheck import gradcheck
from .tape import Function, Node, apply, is_grad_enabled, no_grad
from .tensor import (
    Tensor,
    as_tensor,
    float_dtype,
    from_dlpack,
    get_default_dtype,
    matmul,
    set_default_dtype,
    tensor,
)

__all__ = [
    "Function",
    "Node",
    "Tensor",
    "apply",
    "as_tensor",
    "float_dtype",
    "from_dlpack",
    "get_default_dtype",
    "gradcheck",
    "is_grad_enabled",
    "matmul",
    "no_grad",
    "set_default_dtype",
    "tensor",
]
