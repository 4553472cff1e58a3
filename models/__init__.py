"""Models: Module with fit and predict, Sequential, and ready-made networks."""

from .autoencoder import Autoencoder
from .mlp import MLP
from .model import Model
from .recommender import Recommender
from .recurrent import SequenceClassifier
from .saving import load, load_weights, save_weights
from .sequential import Sequential
from .tabular import TabularMLP

__all__ = [
    "MLP",
    "Autoencoder",
    "Model",
    "Recommender",
    "SequenceClassifier",
    "Sequential",
    "TabularMLP",
    "load",
    "load_weights",
    "save_weights",
]
