"""Models: Module with fit and predict, Sequential, and ready-made networks."""

from .mlp import MLP
from .model import Model
from .recurrent import SequenceClassifier
from .saving import load, load_weights, save_weights
from .sequential import Sequential
from .tabular import TabularMLP

__all__ = [
    "MLP",
    "Model",
    "SequenceClassifier",
    "Sequential",
    "TabularMLP",
    "load",
    "load_weights",
    "save_weights",
]
