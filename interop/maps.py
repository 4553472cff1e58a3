"""Rules from the names of well-known models' weights to those of the models here."""

from __future__ import annotations

from .pytorch import Rule

# Hugging Face's BertModel, by itself or inside another model, for models.BERT. Files that were once
# TensorFlow's call a norm's weight gamma and its bias beta.
_BLOCK = r"(?:bert\.)?encoder\.layer\.(\d+)\."
_EMBEDDINGS = r"(?:bert\.)?embeddings\."
_NORM = {"weight": r"\.(?:weight|gamma)", "bias": r"\.(?:bias|beta)"}
BERT: list[Rule] = [
    Rule(_EMBEDDINGS + "position_ids", None),
    Rule(_EMBEDDINGS + r"(word|position|token_type)_embeddings\.weight", r"\1_embeddings.weight"),
    *(Rule(_EMBEDDINGS + "LayerNorm" + k, "norm." + name) for name, k in _NORM.items()),
    Rule(_BLOCK + r"attention\.self\.(query|key|value)\.(.*)", r"layers.\1.\2.\3"),
    Rule(_BLOCK + r"attention\.output\.dense\.(.*)", r"layers.\1.attended.\2"),
    *(
        Rule(_BLOCK + r"attention\.output\.LayerNorm" + k, rf"layers.\1.norm1.{name}")
        for name, k in _NORM.items()
    ),
    Rule(_BLOCK + r"intermediate\.dense\.(.*)", r"layers.\1.linear1.\2"),
    Rule(_BLOCK + r"output\.dense\.(.*)", r"layers.\1.linear2.\2"),
    *(
        Rule(_BLOCK + r"output\.LayerNorm" + k, rf"layers.\1.norm2.{name}")
        for name, k in _NORM.items()
    ),
    Rule(r"(?:bert\.)?pooler\.dense\.(.*)", r"pooler.\1"),
    Rule(r"cls\..*", None),  # what it was pretrained with
]

# torchvision's ResNets have the names of models.ResNet; its MobileNetV2 that of models.MobileNetV2.
TORCHVISION: list[Rule] = []
