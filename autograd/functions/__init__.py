"""Differentiable functions over kernels: each a class with forward and backward side by side."""
