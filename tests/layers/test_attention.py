"""Attention, positions and the transformer's layers: against PyTorch, cached, captured, saved."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tercet as tc
from tercet.backends import Backend
from tercet.errors import DTypeError, GradientError, OptionError, ShapeError
from tercet.layers import (
    LayerNorm,
    LearnedPositions,
    Module,
    MultiHeadAttention,
    RotaryPositions,
    SinusoidalPositions,
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)

# Of the size of what is compared: a few hundred additions of numbers of size 1.
TOLERANCE = {"float64": 1e-9, "float32": 2e-4}
DTYPES = list(TOLERANCE)


@pytest.fixture(params=DTYPES)
def dtype(request: pytest.FixtureRequest) -> Iterator[str]:
    tc.set_default_dtype(request.param)
    yield request.param
    tc.set_default_dtype("float32")


def close(ours: Any, theirs: Any, dtype: str) -> None:
    theirs = theirs.detach().numpy()
    scale = max(1.0, float(np.abs(theirs).max(initial=0.0)))
    tolerance = TOLERANCE[dtype]
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=tolerance, atol=tolerance * scale)


def give(theirs: Any, ours: Any) -> None:
    """PyTorch's parameter the values of ours."""
    torch = pytest.importorskip("torch")
    with torch.no_grad():
        theirs.copy_(torch.tensor(np.asarray(ours)))


def give_dense(theirs: Any, ours: Module) -> None:
    give(theirs.weight, ours.weight.numpy().T)
    if ours.bias is not None:
        give(theirs.bias, ours.bias.numpy())


def give_attention(theirs: Any, ours: MultiHeadAttention) -> None:
    if ours.fused:
        give(theirs.in_proj_weight, ours.in_proj.weight.numpy().T)
    elif theirs.in_proj_weight is not None:
        weights = [p.weight.numpy().T for p in (ours.q_proj, ours.k_proj, ours.v_proj)]
        give(theirs.in_proj_weight, np.concatenate(weights))
    else:
        for name in "qkv":
            weight = getattr(ours, f"{name}_proj").weight.numpy().T
            give(getattr(theirs, f"{name}_proj_weight"), weight)
    if theirs.in_proj_bias is not None:
        parts = [ours.in_proj] if ours.fused else [ours.q_proj, ours.k_proj, ours.v_proj]
        give(theirs.in_proj_bias, np.concatenate([p.bias.numpy() for p in parts]))
    give_dense(theirs.out_proj, ours.out_proj)


def randomize(module: Module, rng: np.random.Generator) -> None:
    """Biases and norms begin as zeros and ones, which would hide what they do."""
    for p in module.parameters():
        if p.ndim == 1:
            p.replace(rng.normal(size=p.shape))


def inputs_of(*arrays: np.ndarray, dtype: str) -> tuple[list[Any], list[Any]]:
    torch = pytest.importorskip("torch")
    ours = [tc.tensor(x, dtype=dtype, requires_grad=True) for x in arrays]
    theirs = [torch.tensor(x, dtype=getattr(torch, dtype), requires_grad=True) for x in arrays]
    return ours, theirs


def seen_somewhere(mask: np.ndarray) -> np.ndarray:
    """PyTorch's module gives NaN to a query that sees nothing; ours is tested elsewhere."""
    mask[..., 0] = False
    return mask


def test_multi_head_attention_agrees_with_pytorch(backend: Backend, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    for trial in range(24):
        batch, heads, width, length, keys = (int(n) for n in rng.integers(1, 6, size=5))
        embed = heads * width
        kind = ("self", "cross", "widths")[trial % 3]
        bias = bool(rng.integers(2))
        keys = length if kind == "self" else keys
        kdim, vdim = (3, 7) if kind == "widths" else (None, None)
        ours = MultiHeadAttention(embed, heads, bias=bias, kdim=kdim, vdim=vdim)
        randomize(ours, rng)
        theirs = torch.nn.MultiheadAttention(
            embed, heads, bias=bias, kdim=kdim, vdim=vdim, batch_first=True,
            dtype=getattr(torch, dtype),
        )  # fmt: skip
        give_attention(theirs, ours)
        arrays = [rng.normal(size=(batch, length, embed))]
        if kind != "self":
            arrays += [rng.normal(size=(batch, keys, d or embed)) for d in (kdim, vdim)]
        mine, other = inputs_of(*arrays, dtype=dtype)
        options: dict[str, Any] = {}
        mask_shape = (length, keys) if trial % 2 else (batch * heads, length, keys)
        if rng.integers(2):
            options["attn_mask"] = seen_somewhere(rng.random(mask_shape) < 0.4)
        elif rng.integers(2):
            options["attn_mask"] = rng.normal(size=mask_shape).astype(dtype)
        if rng.integers(2) and options.get("attn_mask", np.ones(1, bool)).dtype == bool:
            options["key_padding_mask"] = seen_somewhere(rng.random((batch, keys)) < 0.4)
        torch_options = {k: torch.tensor(v) for k, v in options.items()}
        out = ours(*mine, **options)
        expected, _ = theirs(*(other * 3)[:3], need_weights=False, **torch_options)
        close(out, expected, dtype)
        gradient = rng.normal(size=out.shape)
        out.backward(gradient)
        expected.backward(torch.tensor(gradient, dtype=getattr(torch, dtype)))
        for a, b in zip(mine, other, strict=True):
            close(a.grad, b.grad, dtype)
        close(ours.out_proj.weight.grad.T, theirs.out_proj.weight.grad, dtype)
        if ours.fused:
            close(ours.in_proj.weight.grad.T, theirs.in_proj_weight.grad, dtype)
            if bias:
                close(ours.in_proj.bias.grad, theirs.in_proj_bias.grad, dtype)


def test_grouped_queries_are_repeated_heads(backend: Backend) -> None:
    """As many heads as queries, with equal weights in a group, give the same."""
    rng = np.random.default_rng(2)
    few, many = MultiHeadAttention(24, 6, 2, causal=True), MultiHeadAttention(24, 6, causal=True)
    randomize(few, rng)
    few_state = few.state_dict()
    state = few_state.copy()
    for name in ("in_proj.weight", "in_proj.bias"):
        q, k, v = np.split(few_state[name], [24, 32], axis=-1)
        k, v = (
            x.reshape(*x.shape[:-1], 2, 4).repeat(3, axis=-2).reshape(*x.shape[:-1], 24)
            for x in (k, v)
        )
        state[name] = np.concatenate([q, k, v], axis=-1)
    many.load_state_dict(state)
    x = rng.normal(size=(2, 7, 24))
    np.testing.assert_allclose(few(x).numpy(), many(x).numpy(), rtol=1e-5, atol=1e-5)


def test_a_query_that_sees_nothing_gets_zeros_and_gives_no_gradient(backend: Backend) -> None:
    layer = MultiHeadAttention(8, 2)
    x = tc.tensor(np.random.default_rng(0).normal(size=(2, 3, 8)), requires_grad=True)
    ignored = np.array([[False, False, False], [True, True, True]])
    out = layer(x, key_padding_mask=ignored)
    np.testing.assert_array_equal(out.numpy()[1], np.zeros((3, 8)))
    out.sum().backward()
    assert np.isfinite(x.grad.numpy()).all()
    np.testing.assert_array_equal(x.grad.numpy()[1], np.zeros((3, 8)))


OPTIONS = [
    {"norm_first": norm_first, "bias": bias, "activation": activation}
    for norm_first in (False, True)
    for bias in (False, True)
    for activation in ("relu", "gelu")
]


def give_layer(theirs: Any, ours: Module) -> None:
    give_attention(theirs.self_attn, ours.self_attn)
    for name in ("linear1", "linear2"):
        give_dense(getattr(theirs, name), getattr(ours, name))
    for name in ("norm1", "norm2", "norm3"):
        if hasattr(ours, name):
            give(getattr(theirs, name).weight, getattr(ours, name).weight.numpy())
            if getattr(ours, name).bias is not None:
                give(getattr(theirs, name).bias, getattr(ours, name).bias.numpy())
    if hasattr(ours, "multihead_attn"):
        give_attention(theirs.multihead_attn, ours.multihead_attn)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_layers_agree_with_pytorch(backend: Backend, dtype: str, options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    kind = getattr(torch, dtype)
    sizes = {"d_model": 12, "nhead": 3, "dim_feedforward": 20, "dropout": 0.1}
    x, memory = rng.normal(size=(2, 5, 12)), rng.normal(size=(2, 7, 12))
    padding = seen_somewhere(rng.random((2, 5)) < 0.4)
    memory_padding = seen_somewhere(rng.random((2, 7)) < 0.4)
    later = np.triu(np.ones((5, 5), bool), 1)
    encoder = TransformerEncoderLayer(**sizes, **options).eval()
    decoder = TransformerDecoderLayer(**sizes, **options, causal=True).eval()
    cases = (
        (encoder, torch.nn.TransformerEncoderLayer, (x,),
         {"src_mask": later, "src_key_padding_mask": padding}, {}),
        (decoder, torch.nn.TransformerDecoderLayer, (x, memory),
         {"tgt_key_padding_mask": padding, "memory_key_padding_mask": memory_padding},
         {"tgt_mask": later}),
    )  # fmt: skip
    for ours, their_class, arrays, masks, only_theirs in cases:
        randomize(ours, rng)
        theirs = their_class(**sizes, **options, batch_first=True, dtype=kind).eval()
        give_layer(theirs, ours)
        mine, other = inputs_of(*arrays, dtype=dtype)
        out = ours(*mine, **masks)
        torch_masks = {k: torch.tensor(v) for k, v in (masks | only_theirs).items()}
        expected = theirs(*other, **torch_masks)
        close(out, expected, dtype)
        gradient = rng.normal(size=out.shape)
        out.backward(gradient)
        expected.backward(torch.tensor(gradient, dtype=kind))
        for a, b in zip(mine, other, strict=True):
            close(a.grad, b.grad, dtype)
        close(ours.linear1.weight.grad.T, theirs.linear1.weight.grad, dtype)
        close(ours.norm1.weight.grad, theirs.norm1.weight.grad, dtype)
        close(ours.self_attn.in_proj.weight.grad.T, theirs.self_attn.in_proj_weight.grad, dtype)


def test_stacks_are_their_layers(backend: Backend) -> None:
    rng = np.random.default_rng(4)
    x, memory = tc.tensor(rng.normal(size=(2, 5, 8))), tc.tensor(rng.normal(size=(2, 3, 8)))
    encoder = TransformerEncoder(TransformerEncoderLayer(8, 2, 16), 3, LayerNorm(8)).eval()
    decoder = TransformerDecoder(TransformerDecoderLayer(8, 2, 16, causal=True), 2).eval()
    expected = x
    for i in range(3):
        expected = getattr(encoder, str(i))(expected, is_causal=True)
    expected = encoder.norm(expected)
    np.testing.assert_array_equal(encoder(x, is_causal=True).numpy(), expected.numpy())
    expected = getattr(decoder, "1")(getattr(decoder, "0")(x, memory), memory)
    np.testing.assert_array_equal(decoder(x, memory).numpy(), expected.numpy())
    first, second = (getattr(encoder, n).linear1.weight.numpy() for n in "01")
    assert (first != second).any()


def rotated(x: np.ndarray, base: float = 10000.0) -> np.ndarray:
    """By complex numbers: x (batch, length, heads, width)."""
    half = x.shape[-1] // 2
    angle = np.arange(x.shape[1])[:, None] / base ** (np.arange(half) / half)
    z = (x[..., :half] + 1j * x[..., half:]) * np.exp(1j * angle)[:, None]
    return np.concatenate([z.real, z.imag], axis=-1)


def test_rotary_positions(backend: Backend, dtype: str) -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(2, 6, 3, 8))
    layer = RotaryPositions(8, max_length=9)
    tolerance = TOLERANCE[dtype]
    out = layer(tc.tensor(x)).numpy()
    np.testing.assert_allclose(out, rotated(x), rtol=tolerance, atol=tolerance)
    late = layer(tc.tensor(x[:, 4:]), start=4).numpy()
    np.testing.assert_array_equal(late, out[:, 4:])
    there = layer(tc.tensor(x[:, 4:]), start=tc.tensor(4)).numpy()
    np.testing.assert_array_equal(there, late)
    part = RotaryPositions(8, max_length=9, columns=4)(tc.tensor(x), heads=2).numpy()
    expected = tc.tensor(x).numpy()
    expected[:, :, :2, :4] = rotated(x[:, :, :2, :4])
    np.testing.assert_allclose(part, expected, rtol=tolerance, atol=tolerance)


def test_positions_that_are_added(backend: Backend) -> None:
    x = tc.zeros(2, 3, 6)
    learned, fixed = LearnedPositions(8, 6), SinusoidalPositions(8, 6)
    t, i = np.arange(3)[:, None], np.arange(6)[None] // 2
    angles = t / 10000 ** (2 * i / 6)
    expected = np.where(np.arange(6) % 2, np.cos(angles), np.sin(angles))
    np.testing.assert_allclose(fixed(x).numpy()[1], expected, rtol=1e-5, atol=1e-6)
    for layer in (learned, fixed):
        first = layer(tc.zeros(1, 8, 6)).numpy()
        np.testing.assert_array_equal(layer(x, start=4).numpy()[0], first[0, 4:7])
        np.testing.assert_array_equal(layer(x, start=tc.tensor(4)).numpy()[0], first[0, 4:7])
    learned(x, start=1).sum().backward()
    expected = np.zeros((8, 6))
    expected[1:4] = 2
    np.testing.assert_array_equal(learned.weight.grad.numpy(), expected)


class Generator(Module):
    """A small GPT."""

    def __init__(self, rotary: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        turning = RotaryPositions(8, max_length=20) if rotary else None
        layer = TransformerEncoderLayer(
            16, 2, 32, dropout, "gelu", norm_first=True, causal=True, num_kv_heads=1,
            rotary=turning,
        )  # fmt: skip
        self.positions = None if rotary else LearnedPositions(20, 16)
        self.blocks = TransformerEncoder(layer, 2, LayerNorm(16))

    def forward(self, x: tc.Tensor, caches: Any = None) -> tc.Tensor:
        if self.positions is not None:
            start: Any = 0 if caches is None else caches[0].position
            x = self.positions(x, start)
        return self.blocks(x, caches=caches)


@pytest.mark.parametrize("rotary", [False, True])
@pytest.mark.parametrize("captured", [False, True])
def test_a_cache_gives_what_the_whole_sequence_gives(
    backend: Backend, rotary: bool, captured: bool
) -> None:
    if captured and not backend.captures:
        pytest.skip(f"{backend.name} does not capture")
    model = Generator(rotary).eval()
    x = np.random.default_rng(6).normal(size=(2, 12, 16)).astype(np.float32)
    with tc.no_grad():
        whole = model(tc.tensor(x)).numpy()
        caches = model.blocks.caches(2, 12)

        def step(token: tc.Tensor) -> tc.Tensor:
            return model(token, caches=caches)

        run = tc.capture(step) if captured else step
        parts = [step(tc.tensor(x[:, :5])).numpy()]
        parts += [run(tc.tensor(x[:, i : i + 1])).numpy() for i in range(5, 12)]
        np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, rtol=1e-4, atol=1e-4)
        with pytest.raises(ShapeError, match="room for 12 positions and holds 12; 1 more"):
            step(tc.tensor(x[:, :1]))
        for cache in caches:
            cache.reset()
        np.testing.assert_allclose(step(tc.tensor(x)).numpy(), whole, rtol=1e-4, atol=1e-4)


def test_a_captured_training_step_is_the_eager_one(backend: Backend) -> None:
    if not backend.captures:
        pytest.skip(f"{backend.name} does not capture")
    rng = np.random.default_rng(7)
    batches = [rng.normal(size=(3, 6, 16)).astype(np.float32) for _ in range(6)]
    results = []
    for captured in (False, True):
        tc.seed(0)
        model = Generator(rotary=True, dropout=0.2)
        optimizer = tc.Adam(model.parameters(), lr=1e-2)

        def step(x: tc.Tensor, model: Any = model, optimizer: Any = optimizer) -> tc.Tensor:
            optimizer.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            optimizer.step()
            return loss

        run = tc.capture(step) if captured else step
        losses = [run(tc.tensor(x)).item() for x in batches]
        results.append((losses, model.state_dict()))
    assert results[0][0] == results[1][0]
    for name, value in results[0][1].items():
        np.testing.assert_array_equal(value, results[1][1][name])


def test_a_model_is_saved_and_loaded(backend: Backend, tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    layer = TransformerEncoderLayer(
        8, 2, 16, norm_first=True, causal=True, num_kv_heads=1, rotary=RotaryPositions(4, 16)
    )
    model = tc.models.Sequential(
        [LearnedPositions(10, 8), SinusoidalPositions(10, 8), TransformerEncoder(layer, 2),
         MultiHeadAttention(8, 4, dropout=0.1)]
    ).eval()  # fmt: skip
    x = rng.normal(size=(2, 5, 8))
    expected = model(x).numpy()
    model.save(tmp_path / "m.safetensors")
    loaded = tc.load(tmp_path / "m.safetensors").eval()
    np.testing.assert_array_equal(loaded(x).numpy(), expected)


def test_gradients(backend: Backend) -> None:
    tc.set_default_dtype("float64")
    try:
        rng = np.random.default_rng(9)
        decoder = TransformerDecoderLayer(
            8, 2, 12, 0.0, "gelu", causal=True, num_kv_heads=1, rotary=RotaryPositions(4)
        )
        x, memory = (tc.tensor(rng.normal(size=(2, n, 8)), requires_grad=True) for n in (4, 3))
        assert tc.gradcheck(decoder, (x, memory))
    finally:
        tc.set_default_dtype("float32")


def test_wrong_arguments_are_named(backend: Backend) -> None:
    layer, x = MultiHeadAttention(8, 2), np.zeros((2, 3, 8))
    cases: list[tuple[Any, type[Exception], str]] = [
        (lambda: MultiHeadAttention(10, 3), OptionError, "multiple of num_heads.*embed_dim=10"),
        (lambda: MultiHeadAttention(8, 4, 3), OptionError, "multiple of num_kv_heads"),
        (lambda: MultiHeadAttention(8, 4, dropout=1.0), OptionError, r"dropout must be in \[0, 1"),
        (lambda: MultiHeadAttention(8, 2, rotary=RotaryPositions(8)), OptionError, "width 4"),
        (lambda: layer(np.zeros((2, 3, 7))), ShapeError, r"query \(batch, length, 8\)"),
        (lambda: layer(np.zeros((3, 8))), ShapeError, r"found query \(3, 8\)"),
        (lambda: layer(x, np.zeros((1, 3, 8))), ShapeError, r"key \(1, 3, 8\)"),
        (lambda: layer(x, attn_mask=np.zeros((3, 4))), ShapeError, r"\(3, 4\) does not broadcast"),
        (lambda: layer(x, attn_mask=np.zeros((3, 3), int)), DTypeError, "attn_mask is boolean, or"),
        (lambda: layer(x, key_padding_mask=np.zeros((2, 3))), DTypeError, "is boolean, True"),
        (lambda: layer(x, key_padding_mask=np.zeros(3, bool)), ShapeError, r"\(batch, keys\)"),
        (
            lambda: layer(x, attn_mask=tc.tensor(np.zeros((3, 3)), requires_grad=True)),
            GradientError,
            "attn_mask gets no gradient",
        ),
        (
            lambda: layer(x, attn_mask=np.zeros((3, 3), bool), cache=layer.cache(2, 4)),
            OptionError,
            "takes neither key and value nor masks",
        ),
        (lambda: RotaryPositions(5), OptionError, "even number up to 5"),
        (lambda: RotaryPositions(4, 3)(np.zeros((1, 4, 1, 4))), ShapeError, "has 3 positions"),
        (lambda: LearnedPositions(3, 8)(np.zeros((2, 4, 8))), ShapeError, "has 3 positions"),
        (lambda: SinusoidalPositions(3, 8)(x, 1), ShapeError, "found 1 to 3"),
        (lambda: SinusoidalPositions(3, 4)(x), ShapeError, r"\(..., length, 4\)"),
        (lambda: SinusoidalPositions(0, 4), OptionError, "max_length must be a positive integer"),
        (
            lambda: TransformerEncoder(TransformerEncoderLayer(8, 2, 8), 0),
            OptionError,
            "num_layers must be a positive integer",
        ),
        (
            lambda: MultiHeadAttention(8, 2, rotary=RotaryPositions(4, 5)).cache(1, 6),
            OptionError,
            "max_length=5",
        ),
    ]
    for call, error, message in cases:
        with pytest.raises(error, match=message):
            call()
