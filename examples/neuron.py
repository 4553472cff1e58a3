"""A neuron by hand: a weighted sum, a bias, and the sigmoid.

z = w . x + b,   output = 1 / (1 + e^-z)
"""

import tercet as tc


def neuron(inputs: list[float], weights: list[float], bias: float) -> tuple[float, float]:
    """The weighted sum and the output of one neuron."""
    x = tc.tensor([inputs])
    weight = tc.tensor([[w] for w in weights])
    z = tc.dense(x, weight, tc.tensor([bias]))
    return z.item(), tc.sigmoid(z).item()


def main() -> None:
    # Should a loan be granted? Age and income, with weights that somebody has chosen.
    z, output = neuron([35.0, 80_000.0], [0.2, 0.00001], -5.0)
    print(f"age 35, income 80,000:  z = {z:.1f}, sigmoid = {output:.4f}")
    z, output = neuron([1.0, 1.0, 3.0], [2.0, 1.5, -0.5], -1.0)
    print(f"inputs (1, 1, 3):       z = {z:.1f}, sigmoid = {output:.4f}")
    print("sigmoid(-5, -1, 0, 1, 5) =", tc.sigmoid([-5.0, -1.0, 0.0, 1.0, 5.0]).numpy().round(4))
    print("softmax(2, 1, 0.1) =      ", tc.softmax([2.0, 1.0, 0.1]).numpy().round(3))


if __name__ == "__main__":
    main()
