"""Data sets, files, loaders."""

from .dataset import Dataset, Subset, TensorDataset, random_split
from .images import load_digits, load_fashion_mnist, load_mnist
from .load import load, load_features
from .loader import DataLoader
from .sequences import pad_sequences
from .series import load_series
from .source import DataSource
from .standardize import Standardizer
from .tables import load_csv, load_npz
from .text_features import TfIdf

__all__ = [
    "DataLoader",
    "DataSource",
    "Dataset",
    "Standardizer",
    "Subset",
    "TensorDataset",
    "TfIdf",
    "load",
    "load_csv",
    "load_digits",
    "load_fashion_mnist",
    "load_features",
    "load_mnist",
    "load_npz",
    "load_series",
    "pad_sequences",
    "random_split",
]
