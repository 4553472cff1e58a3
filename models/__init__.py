"""Models: Module with fit and predict, Sequential, and ready-made networks."""

from .cnn import CNN
from .gpt import GPT
from .mlp import MLP
from .model import Model
from .recurrent import SequenceClassifier
from .resnet import ResNet, resnet18, resnet34, resnet50
from .saving import load, load_weights, save_weights
from .sequential import Sequential
from .vit import ViT

__all__ = [
    "CNN",
    "GPT",
    "MLP",
    "Model",
    "ResNet",
    "SequenceClassifier",
    "Sequential",
    "ViT",
    "load",
    "load_weights",
    "resnet18",
    "resnet34",
    "resnet50",
    "save_weights",
]
