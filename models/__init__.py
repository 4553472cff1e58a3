"""Models: Module with fit and predict, Sequential, and ready-made networks."""

from .autoencoder import Autoencoder
from .cnn import CNN
from .gpt import GPT
from .mlp import MLP
from .model import Model
from .recommender import Recommender
from .recurrent import SequenceClassifier
from .resnet import ResNet, resnet18, resnet34, resnet50
from .saving import load, load_weights, save_weights
from .sequential import Sequential
from .tabular import TabularMLP

__all__ = [
    "CNN",
    "GPT",
    "MLP",
    "Autoencoder",
    "Model",
    "Recommender",
    "ResNet",
    "SequenceClassifier",
    "Sequential",
    "TabularMLP",
    "load",
    "load_weights",
    "resnet18",
    "resnet34",
    "resnet50",
    "save_weights",
]
