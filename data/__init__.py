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
from .text import CharVocabulary, TextLoader, TextSource, TextWindows, load_text
from .text_features import TfIdf

__all__ = [
    "CharVocabulary",
    "DataLoader",
    "DataSource",
    "Dataset",
    "Standardizer",
    "Subset",
    "TensorDataset",
    "TextLoader",
    "TextSource",
    "TextWindows",
    "TfIdf",
    "load",
    "load_csv",
    "load_digits",
    "load_fashion_mnist",
    "load_features",
    "load_mnist",
    "load_npz",
    "load_series",
    "load_text",
    "pad_sequences",
    "random_split",
]
