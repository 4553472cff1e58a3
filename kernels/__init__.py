"""The kernels: one folder a family, each with its reference, its Numba loops and its CUDA code.

`TABLE` maps every kernel's name to its row. A new family joins by its name in FAMILIES.
"""

from importlib import import_module

from .spec import Kernel

FAMILIES = (
    "activation",
    "attention",
    "augmentation",
    "convolution",
    "dense",
    "dropout",
    "elementwise",
    "indexing",
    "loss",
    "metric",
    "normalization",
    "optimizer",
    "padding",
    "pooling",
    "random",
    "recurrent",
    "reduction",
    "regularization",
    "resampling",
    "rotary",
    "softmax",
)

TABLE: dict[str, Kernel] = {}
FAMILY_OF: dict[str, str] = {}
for _family in FAMILIES:
    for _kernel in import_module(f".{_family}.spec", __name__).KERNELS:
        TABLE[_kernel.name] = _kernel
        FAMILY_OF[_kernel.name] = _family
