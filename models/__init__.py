"""Models: Module with fit and predict, Sequential, and ready-made networks."""

from .autoencoder import Autoencoder
from .bert import BERT
from .cnn import CNN
from .gpt import GPT
from .mlp import MLP
from .mobilenet import MobileNetV2
from .model import Model
from .recommender import Recommender
from .recurrent import SequenceClassifier
from .resnet import ResNet, resnet18, resnet34, resnet50
from .saving import load, load_weights, save_weights
from .sequential import Sequential
from .tabular import TabularMLP
from .vit import ViT

__all__ = [
    "BERT",
    "CNN",
    "GPT",
    "MLP",
    "Autoencoder",
    "MobileNetV2",
    "Model",
    "Recommender",
    "ResNet",
    "SequenceClassifier",
    "Sequential",
    "TabularMLP",
    "ViT",
    "load",
    "load_weights",
    "resnet18",
    "resnet34",
    "resnet50",
    "save_weights",
]
