"""Weights that other frameworks have trained, and what it takes to use them."""

from . import maps
from .keras import keras_model, load_keras
from .pytorch import Rule, as_it_is, load_pytorch
from .report import Report
from .wordpiece import WordPiece

__all__ = [
    "Report",
    "Rule",
    "WordPiece",
    "as_it_is",
    "keras_model",
    "load_keras",
    "load_pytorch",
    "maps",
]
