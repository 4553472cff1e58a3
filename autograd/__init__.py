"""Tensor, the tape over coarse ops, functional forms, and the gradient check."""

from .captured import Captured, capture
from .dtypes import float_dtype, get_default_dtype, is_float, set_default_dtype
from .gradcheck import gradcheck
from .precision import autocast
from .tape import Function, Node, apply, is_grad_enabled, no_grad
from .tensor import (
    Tensor,
    as_tensor,
    from_dlpack,
    matmul,
    tensor,
)

__all__ = [
    "Captured",
    "Function",
    "Node",
    "Tensor",
    "apply",
    "as_tensor",
    "autocast",
    "capture",
    "float_dtype",
    "from_dlpack",
    "get_default_dtype",
    "gradcheck",
    "is_float",
    "is_grad_enabled",
    "matmul",
    "no_grad",
    "set_default_dtype",
    "tensor",
]
