"""Rules from the names of well-known models' weights to those of the models here.

models.ResNet and models.MobileNetV2 have torchvision's names and need none.
"""

from __future__ import annotations

from .pytorch import Rule, as_it_is

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

# Hugging Face's GPT2Model, by itself or inside GPT2LMHeadModel, whose head is the table of the
# embeddings. For blocks of TransformerEncoderLayer(norm_first=True, causal=True) named h. Its
# matrices are Conv1D's: (in, out), as here.
_GPT2 = r"(?:transformer\.)?"
_PLACES = {
    r"ln_1": "norm1",
    r"attn\.c_attn": "self_attn.in_proj",
    r"attn\.c_proj": "self_attn.out_proj",
    r"ln_2": "norm2",
    r"mlp\.c_fc": "linear1",
    r"mlp\.c_proj": "linear2",
}
GPT2: list[Rule] = [
    Rule(_GPT2 + r"h\.\d+\.attn\.(masked_)?bias", None),
    Rule(r"lm_head\.weight", None),
    Rule(_GPT2 + r"((?:wte|wpe|ln_f)\..*)", r"\1"),
    *(
        Rule(_GPT2 + rf"h\.(\d+)\.{theirs}\.(.*)", rf"h.\1.{ours}.\2", as_it_is)
        for theirs, ours in _PLACES.items()
    ),
]
