"""Models: Module with fit and predict, Sequential, and ready-made networks."""

from .bert import BERT
from .cnn import CNN
from .mlp import MLP
from .mobilenet import MobileNetV2
from .model import Model
from .recurrent import SequenceClassifier
from .resnet import ResNet, resnet18, resnet34, resnet50
from .saving import load, load_weights, save_weights
from .sequential import Sequential

__all__ = [
    "BERT",
    "CNN",
    "MLP",
    "MobileNetV2",
    "Model",
    "ResNet",
    "SequenceClassifier",
    "Sequential",
    "load",
    "load_weights",
    "resnet18",
    "resnet34",
    "resnet50",
    "save_weights",
]
