"""Philox by its published vectors, the host's generator, the backends' random bits."""

import math

import numpy as np
import pytest
import tercet as tc
from tercet.backends import Backend, Generator
from tercet.errors import OptionError
from tercet.kernels.random.philox import philox, random_words

# Counter, key and output as Random123 publishes them for philox4x32 with 10 rounds.
VECTORS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000",
     "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff",
     "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0",
     "d16cfe09 94fdcceb 5001e420 24126ea1"),
]  # fmt: skip
SIGMAS = 5  # standard deviations of an estimate that chance does not reach
N = 200_000


def words(text: str) -> list[int]:
    return [int(w, 16) for w in text.split()]


@pytest.mark.parametrize(("counter", "key", "expected"), VECTORS)
def test_known_answers(counter: str, key: str, expected: str) -> None:
    arrays = [np.array([c], np.uint64) for c in words(counter)]
    assert [int(w[0]) for w in philox(*arrays, *words(key))] == words(expected)


def test_the_layout_of_words() -> None:
    """Element i is word i % 4 of the block i // 4; the counter is (block, 0, stream, step)."""
    seed, stream, step = 0x299F31D0A4093822, 0x13198A2E, 0x03707344
    found = random_words(np, 10, seed, stream, step)
    assert found.dtype == np.uint32
    for block in range(3):
        counter = [np.array([c], np.uint64) for c in (block, 0, stream, step)]
        expected = [int(w[0]) for w in philox(*counter, 0xA4093822, 0x299F31D0)]
        part = found[4 * block : 4 * block + 4].tolist()
        assert part == expected[: len(part)]
    assert random_words(np, 4, 0, 0, 0).tolist() == words(VECTORS[0][2])
    for count in range(10):
        np.testing.assert_array_equal(random_words(np, count, seed, stream, step), found[:count])


@pytest.mark.parametrize("shape", [(1,), (4,), (7,), (33, 5), (2, 3, 4), (70_001,), (0,), ()])
@pytest.mark.parametrize("stream", [0, 3, 2**31 + 1])
def test_every_backend_gives_the_same_bits(backend: Backend, shape: tuple, stream: int) -> None:
    for seed, step in ((0, 0), (0x0123456789ABCDEF, 77), (2**64 - 1, 2**32 - 1)):
        state = np.array([seed & 0xFFFFFFFF, seed >> 32, step, 0], np.uint32)
        found = backend.ops.random_bits(backend.asarray(state), shape=shape, stream=stream)
        expected = random_words(np, math.prod(shape), seed, stream, step).reshape(shape)
        np.testing.assert_array_equal(backend.to_numpy(found), expected)


def test_a_backend_gives_the_published_bits(backend: Backend) -> None:
    state = backend.asarray(np.zeros(4, np.uint32))
    found = backend.to_numpy(backend.ops.random_bits(state, shape=(4,), stream=0))
    assert found.tolist() == words(VECTORS[0][2])


def test_uniform() -> None:
    x = Generator(1).uniform((N // 4, 4))
    assert x.shape == (N // 4, 4)
    assert x.dtype == np.float64
    assert x.min() >= 0.0
    assert x.max() < 1.0
    # A stretch of 20 / N at either end is missed with the chance exp(-20).
    assert x.min() < 20 / N
    assert x.max() > 1 - 20 / N
    for power in (1, 2, 3):
        # E u^p = 1 / (p + 1), with variance 1 / (2p + 1) - 1 / (p + 1)^2.
        mean, square = 1 / (power + 1), 1 / (2 * power + 1)
        tolerance = SIGMAS * math.sqrt((square - mean**2) / N)
        assert abs((x**power).mean() - mean) < tolerance
    low_bits = (x * 2**53).astype(np.uint64) & np.uint64(1)
    assert abs(low_bits.mean() - 0.5) < SIGMAS * 0.5 / math.sqrt(N)
    np.testing.assert_array_equal(Generator(1).uniform((N // 4, 4), -2.0, 6.0), -2.0 + 8.0 * x)


def test_uniform_uses_53_bits_of_two_words() -> None:
    a, b = random_words(np, 2, 9, 0, 0).tolist()
    expected = ((a >> 5) * 2**26 + (b >> 6)) / 2**53
    assert Generator(9).uniform(()).item() == expected


def test_normal() -> None:
    x = Generator(2).normal((N,))
    # Central moments 0, 1, 0, 3 of z, z^2, z^3, z^4, with variances 1, 2, 15, 96.
    for power, mean, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((x**power).mean() - mean) < SIGMAS * math.sqrt(variance / N)
    for edge in (-2.0, -0.5, 0.0, 1.0, 3.0):
        p = 0.5 * math.erfc(-edge / math.sqrt(2))
        assert abs((x < edge).mean() - p) < SIGMAS * math.sqrt(p * (1 - p) / N)
    # The pairs of Box and Muller are not correlated.
    assert abs((x[: N // 2] * x[N // 2 :]).mean()) < SIGMAS / math.sqrt(N / 2)
    np.testing.assert_array_equal(Generator(2).normal((N,), 3.0, 0.5), 3.0 + 0.5 * x)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3,), (5, 7)])
def test_shapes(shape: tuple) -> None:
    for draw in (Generator(0).normal, Generator(0).uniform):
        x = draw(shape)
        assert x.shape == shape
        assert np.isfinite(x).all()


@pytest.mark.parametrize("n", [0, 1, 2, 5, 1000])
def test_a_permutation_is_one(n: int) -> None:
    order = Generator(4).permutation(n)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(n))


def test_permutations_are_equally_likely() -> None:
    generator = Generator(0)
    rounds = 6000
    counts: dict = {}
    for _ in range(rounds):
        order = tuple(generator.permutation(3).tolist())
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 6
    spread = math.sqrt(rounds * (1 / 6) * (5 / 6))
    assert max(abs(c - rounds / 6) for c in counts.values()) < SIGMAS * spread


def test_equal_seeds_and_different_streams_steps_and_seeds() -> None:
    one, two = Generator(3), Generator(3)
    first = one.words(1000)
    np.testing.assert_array_equal(first, two.words(1000))
    others = [one.words(1000), Generator(3, 1).words(1000), Generator(4).words(1000)]
    others.append(Generator(3 + 2**32).words(1000))
    for i, x in enumerate([first, *others]):
        for y in others[i:]:
            # Two unrelated words agree with the chance 2^-32; half of their bits do.
            assert (x != y).all()
            agree = np.unpackbits((x ^ y).view(np.uint8)).mean()
            assert abs(agree - 0.5) < SIGMAS * 0.5 / math.sqrt(32_000)
    np.testing.assert_array_equal(one.words(10), random_words(np, 10, 3, 2, 0))
    assert one.stream == 3


@pytest.mark.parametrize("seed", [-1, 2**64, 2**80])
def test_seeds_out_of_range(seed: int) -> None:
    with pytest.raises(OptionError, match=rf"an integer in \[0, 2\*\*64\), found {seed}"):
        Generator(seed)
    tc.seed(5)
    with pytest.raises(OptionError, match="seed must be an integer"):
        tc.seed(seed)
    # What was seeded stays.
    assert tc.backends.generator().seed == 5


def test_the_largest_seed() -> None:
    assert (Generator(2**64 - 1).words(8) != Generator(0).words(8)).all()
