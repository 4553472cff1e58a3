"""Files with PyTorch's names: every known layout against PyTorch's own forward pass."""

from pathlib import Path

import numpy as np
import pytest
import tercet as tc
from tercet.backends import Backend
from tercet.errors import CheckpointError, OptionError
from tercet.interop import Rule, load_pytorch, maps
from tercet.layers import Dense, Embedding, LayerNorm, LearnedPositions, TransformerEncoderLayer
from tercet.models import BERT, MobileNetV2, ResNet, Sequential

torch = pytest.importorskip("torch")
safetensors_torch = pytest.importorskip("safetensors.torch")

from . import torch_models  # noqa: E402


def saved(path: Path, state: dict) -> Path:
    file = path / "weights.safetensors"
    safetensors_torch.save_file({k: v.detach().contiguous() for k, v in state.items()}, file)
    return file


def near(ours: np.ndarray, theirs, layers: int) -> None:
    """Equal but for float32's rounding, which each layer may add to."""
    theirs = theirs.detach().numpy()
    scale = np.abs(theirs).max()
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=layers * 2**-20 * scale)


RESNETS = {
    "basic": ((1, 2), (4, 8), False),
    "bottleneck": ((2, 1), (4, 8), True),
}


@pytest.mark.parametrize("name", RESNETS)
def test_resnet_has_torchvisions_names(backend: Backend, rng, tmp_path: Path, name: str) -> None:
    blocks, widths, bottleneck = RESNETS[name]
    theirs = torch_models.randomize(torch_models.ResNet(blocks, widths, bottleneck, 5))
    model = ResNet(5, blocks, widths, name, "imagenet")
    report = load_pytorch(model, saved(tmp_path, theirs.state_dict()))
    assert report.complete
    assert len(report.loaded) == len(theirs.state_dict())
    x = rng.normal(size=(2, 3, 33, 32)).astype(np.float32)
    near(model.predict(x), theirs(torch.tensor(x)), layers=12)


@pytest.mark.parametrize(("build", "count"), [("resnet18", 11_689_512), ("resnet34", 21_797_672),
                                              ("resnet50", 25_557_032)])  # fmt: skip
def test_whole_resnets_fit(build: str, count: int) -> None:
    sizes = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}[build]
    with torch.device("meta"):
        theirs = torch_models.ResNet(sizes, (64, 128, 256, 512), build == "resnet50", 1000)
    state = theirs.to_empty(device="cpu").state_dict()
    with tc.use_backend("numpy"):
        model = getattr(tc.models, build)()
        assert load_pytorch(model, state).complete
    assert model.num_parameters() == count


@pytest.mark.parametrize("convention", ["pytorch", "keras"])
def test_mobilenet(backend: Backend, rng, tmp_path: Path, convention: str) -> None:
    theirs = torch_models.MobileNetV2(4, 0.25, keras=convention == "keras")
    torch_models.randomize(theirs)
    model = MobileNetV2(4, 0.25, convention=convention)
    report = load_pytorch(model, saved(tmp_path, theirs.state_dict()))
    assert report.complete
    x = rng.normal(size=(2, 3, 64, 32)).astype(np.float32)
    near(model.predict(x), theirs(torch.tensor(x)), layers=53)


def test_mobilenet_of_keras_takes_even_sizes_only(backend: Backend) -> None:
    with pytest.raises(ValueError, match="multiples of 32"):
        MobileNetV2(4, 0.25, convention="keras")(tc.zeros(1, 3, 33, 32))
    with pytest.raises(OptionError, match="convention of MobileNetV2"):
        MobileNetV2(4, convention="torch")


BERT_SIZES = {"vocabulary": 30, "width": 12, "layers": 2, "heads": 3, "hidden": 20, "max_length": 9}


def bert_state(prefix: str = "", old: bool = False) -> dict:
    """Random weights with Hugging Face's names, in the older form with gamma and beta."""
    torch.manual_seed(0)
    width, hidden = BERT_SIZES["width"], BERT_SIZES["hidden"]
    shapes = {
        "embeddings.word_embeddings.weight": (30, width),
        "embeddings.position_embeddings.weight": (9, width),
        "embeddings.token_type_embeddings.weight": (2, width),
    }
    norms, dense = ["embeddings.LayerNorm"], {"pooler.dense": (width, width)}
    for i in range(BERT_SIZES["layers"]):
        at = f"encoder.layer.{i}."
        parts = [f"attention.self.{n}" for n in ("query", "key", "value")]
        dense |= {at + part: (width, width) for part in [*parts, "attention.output.dense"]}
        dense |= {at + "intermediate.dense": (hidden, width), at + "output.dense": (width, hidden)}
        norms += [at + "attention.output.LayerNorm", at + "output.LayerNorm"]
    for name, shape in dense.items():
        shapes |= {name + ".weight": shape, name + ".bias": shape[:1]}
    names = ("gamma", "beta") if old else ("weight", "bias")
    state = {prefix + name: torch.randn(shape) * 0.4 for name, shape in shapes.items()}
    for norm in norms:
        for name in names:
            state[f"{prefix}{norm}.{name}"] = torch.rand(width) + 0.5
    state[prefix + "embeddings.position_ids"] = torch.arange(9)[None]
    return state


def test_bert(backend: Backend, rng, tmp_path: Path) -> None:
    model, state = BERT(**BERT_SIZES).eval(), bert_state()
    report = load_pytorch(model, saved(tmp_path, state), maps.BERT)
    assert report.complete
    tokens = rng.integers(0, 30, size=(4, 7))
    mask = np.arange(7) < np.array([7, 3, 1, 5])[:, None]
    given = torch.tensor(tokens), torch.tensor(mask)
    theirs = torch_models.bert(state, *given, heads=3)
    with tc.no_grad():
        for form in (mask, mask.astype(np.int64), mask.tolist()):
            near(model(tokens, form).numpy()[mask], theirs[given[1]], layers=14)
        near(model.sentences(tokens, mask).numpy(), torch_models.sentences(theirs, given[1]), 14)
        first = torch.tanh(
            theirs[:, 0] @ state["pooler.dense.weight"].T + state["pooler.dense.bias"]
        )
        near(model.pooled(tokens, mask=mask).numpy(), first, layers=15)
        whole = torch_models.bert(state, given[0], torch.ones_like(given[1]), heads=3)
        near(model(tokens).numpy(), whole, layers=14)
        near(model.predict(tokens), whole, layers=14)
        near(model(tokens, None, np.zeros_like(tokens)).numpy(), whole, layers=14)
        uniform = torch_models.sentences(whole, torch.ones_like(given[1]))
        near(model.sentences(tokens).numpy(), uniform, layers=14)
    with pytest.raises(ValueError, match="length 1 to 9"):
        model(np.zeros((1, 10), int))
    with pytest.raises(ValueError, match=r"mask of shape \(4, 7\)"):
        model(tokens, mask[:, :3])


def test_bert_in_a_larger_model_with_older_names(backend: Backend) -> None:
    state = bert_state("bert.", old=True) | {"cls.predictions.bias": torch.zeros(30)}
    model, same = BERT(**BERT_SIZES), BERT(**BERT_SIZES)
    assert load_pytorch(model, state, maps.BERT).complete
    load_pytorch(same, bert_state(), maps.BERT)
    for (name, p), q in zip(model.named_parameters(), same.parameters(), strict=True):
        np.testing.assert_array_equal(p.numpy(), q.numpy(), name)


def test_bert_is_trained_and_saved(backend: Backend, rng, tmp_path: Path) -> None:
    model = BERT(**BERT_SIZES, dropout=0.0)
    tokens = rng.integers(0, 30, size=(8, 5))
    target = rng.normal(size=(8, 5, 12)).astype(np.float32)
    model.compile(tc.Adam(lr=0.01), "mse")
    losses = model.fit(tokens, target, epochs=8, batch_size=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    model.save(tmp_path / "bert.safetensors")
    loaded = tc.load(tmp_path / "bert.safetensors")
    np.testing.assert_array_equal(loaded.predict(tokens), model.predict(tokens))


class Blocks(tc.models.Model):
    """GPT-2 of this package's own layers, named as maps.GPT2 takes them to be."""

    def __init__(self) -> None:
        super().__init__()
        self.wte, self.wpe = Embedding(20, 12), LearnedPositions(8, 12)
        self.h = tc.layers.ModuleList(
            TransformerEncoderLayer(12, 3, 48, 0.0, "gelu_tanh", norm_first=True, causal=True)
            for _ in range(2)
        )
        self.ln_f = LayerNorm(12)

    def forward(self, tokens):
        x = self.wpe(self.wte(tokens))
        for block in self.h:
            x = block(x)
        return self.ln_f(x) @ self.wte.weight.T


@pytest.mark.parametrize("prefix", ["", "transformer."])
def test_gpt2(backend: Backend, rng, tmp_path: Path, prefix: str) -> None:
    torch.manual_seed(0)
    shapes = {
        "wte.weight": (20, 12),
        "wpe.weight": (8, 12),
        "ln_f.weight": (12,),
        "ln_f.bias": (12,),
    }
    for i in range(2):
        for name, shape in (("attn.c_attn", (12, 36)), ("attn.c_proj", (12, 12)),
                            ("mlp.c_fc", (12, 48)), ("mlp.c_proj", (48, 12)), ("ln_1", (12,)),
                            ("ln_2", (12,))):  # fmt: skip
            shapes |= {f"h.{i}.{name}.weight": shape, f"h.{i}.{name}.bias": shape[-1:]}
    state = {name: torch.randn(shape) * 0.5 for name, shape in shapes.items()}
    file = {prefix + name: value for name, value in state.items()}
    file |= {prefix + f"h.{i}.attn.bias": torch.ones(1, 1, 8, 8) for i in range(2)}
    model = Blocks()
    assert load_pytorch(model, saved(tmp_path, file), maps.GPT2).complete
    tokens = rng.integers(0, 20, size=(3, 8))
    near(model.predict(tokens), torch_models.gpt2(state, torch.tensor(tokens), 3), layers=12)


def test_recurrent_and_convolutional_layers_need_no_map(backend: Backend, rng) -> None:
    """Names of modules in order; recurrent matrices are transposed like dense ones."""
    theirs = torch.nn.GRU(3, 5, num_layers=2, bidirectional=True)
    model = tc.layers.GRU(3, 5, num_layers=2, bidirectional=True)
    assert load_pytorch(model, theirs.state_dict()).complete
    x = rng.normal(size=(4, 2, 3)).astype(np.float32)
    with tc.no_grad():
        near(model(x)[0].numpy(), theirs(torch.tensor(x))[0], layers=8)
    theirs = torch.nn.ConvTranspose2d(4, 6, 3, groups=2)
    model = tc.layers.ConvTranspose2d(4, 6, 3, groups=2)
    load_pytorch(model, theirs.state_dict())
    x = rng.normal(size=(2, 4, 5, 5)).astype(np.float32)
    with tc.no_grad():
        near(model(x).numpy(), theirs(torch.tensor(x)), layers=4)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_other_dtypes_become_the_models(backend: Backend, tmp_path: Path, dtype: str) -> None:
    values = torch.tensor([[1.5, -2.0]], dtype=getattr(torch, dtype))
    for weights in ({"weight": values}, saved(tmp_path, {"weight": values})):
        model = Dense(2, 1, bias=False)
        load_pytorch(model, weights)
        assert model.weight.dtype == np.float32
        assert model.weight.tolist() == [[1.5], [-2.0]]


def test_one_error_lists_all_that_does_not_fit(backend: Backend) -> None:
    model = Sequential(Dense(3, 2), Dense(2, 4))
    before = model.state_dict()
    state = {"0.weight": np.ones((2, 3)), "0.bias": np.ones(5), "1.weight": np.ones((4, 2)),
             "other.scale": np.ones(7)}  # fmt: skip
    with pytest.raises(CheckpointError) as error:
        load_pytorch(model, state)
    for line in ("the state dict does not fit Sequential", r"missing     1.bias (4,)",
                 "left over   other.scale (7,)", "0.bias from 0.bias: expected (2,), found (5,)",
                 "strict=False"):  # fmt: skip
        assert line in str(error.value)
    assert all(np.array_equal(v, before[k]) for k, v in model.state_dict().items())
    report = load_pytorch(model, state, strict=False)
    assert not report.complete
    assert [loaded.name for loaded in report.loaded] == ["0.weight", "1.weight"]
    assert str(report).splitlines() == [
        "0.weight  from 0.weight          (3, 2)",
        "1.weight  from 1.weight          (2, 4)",
        "1.bias    MISSING                (4,)",
        "0.bias    DIFFERS from 0.bias    expected (2,), found (5,)",
        "          LEFT OVER other.scale  (7,)",
        "2 loaded, 1 missing, 1 left over, 1 differing",
    ]
    assert model[0].weight.tolist() == [[1.0, 1.0]] * 3
    np.testing.assert_array_equal(model[0].bias.numpy(), before["0.bias"])


def test_maps(backend: Backend) -> None:
    model = Dense(3, 2, bias=False)
    twice = {"a.weight": np.ones((2, 3)), "b.weight": np.ones((2, 3))}
    with pytest.raises(OptionError, match=r"weight to both a\.weight and b\.weight"):
        load_pytorch(model, twice, [Rule(r".\.weight", "weight")])
    rules = [Rule(r"a\.weight", None), Rule(r"b\.weight", "weight", lambda w: 2 * w.T)]
    assert load_pytorch(model, twice, rules).complete
    assert model.weight.tolist() == [[2.0, 2.0]] * 3


def test_old_files_have_no_count_of_batches(backend: Backend) -> None:
    layer = tc.layers.BatchNorm2d(2)
    names = ("weight", "bias", "running_mean", "running_var")
    assert load_pytorch(layer, {name: np.ones(2) for name in names}).complete


def test_files_that_are_not_read(tmp_path: Path) -> None:
    for name in ("model.pt", "pytorch_model.bin"):
        with pytest.raises(CheckpointError, match="pickle"):
            load_pytorch(Dense(2, 1), tmp_path / name)
    (tmp_path / "cut.safetensors").write_bytes(b"12345")
    with pytest.raises(CheckpointError, match="no readable safetensors"):
        load_pytorch(Dense(2, 1), tmp_path / "cut.safetensors")
    with pytest.raises(CheckpointError, match="no file"):
        load_pytorch(Dense(2, 1), tmp_path / "model.safetensors")
