"""The perceptron learns what a line can separate: a loan table, but not XOR; two layers can.

    output = 1 if w . x + b > 0 else 0,   after each mistake: w += lr (target - output) x

Source: Rosenblatt, 1958; the limit: Minsky & Papert, Perceptrons, 1969.
"""

import numpy as np
import tercet as tc

# age, salary in thousands, owns a house -> approve
LOANS = np.array([[25, 45, 0], [40, 80, 1], [30, 60, 0], [50, 120, 1]], dtype=np.float32)
APPROVED = np.array([0, 1, 0, 1], dtype=np.float32)
XOR_INPUTS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32)
XOR = np.array([0, 1, 1, 0], dtype=np.float32)


class Perceptron(tc.Module):
    """One unit with a step for its output."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.unit = tc.layers.Dense(inputs, 1, weight_init="zeros")

    def forward(self, x: tc.Tensor) -> tc.Tensor:
        return self.unit(x).reshape(-1) > 0


def learn(x: np.ndarray, y: np.ndarray, epochs: int = 100, lr: float = 0.1) -> float:
    """Rosenblatt's rule, sample by sample; the share of right answers in the end.

    The rule is w += lr (target - output) x: the gradient of (output - target) (w . x + b).
    """
    model = Perceptron(x.shape[1])
    optimizer = tc.SGD(model.parameters(), lr=lr)
    for _ in range(epochs):
        for row, target in zip(x, y, strict=True):
            error = float(model(row[None])) - float(target)
            optimizer.zero_grad()
            (model.unit(row[None]) * error).sum().backward()
            optimizer.step()
    return float((model(x).numpy() == y).mean())


def learn_xor_with_two_layers(seed: int = 0) -> float:
    """XOR with one hidden layer; the share of right answers."""
    tc.seed(seed)
    model = tc.models.Sequential([tc.layers.Dense(2, 8, activation="tanh"), tc.layers.Dense(8, 1)])
    optimizer = tc.Adam(model.parameters(), lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        loss = tc.binary_cross_entropy_with_logits(model(XOR_INPUTS), XOR.reshape(-1, 1))
        loss.backward()
        optimizer.step()
    return float(((model(XOR_INPUTS).numpy().reshape(-1) > 0) == XOR).mean())


def main() -> None:
    scaled = LOANS / LOANS.max(axis=0)
    print(f"perceptron on the loan table: {learn(scaled, APPROVED):.0%} right")
    print(f"perceptron on XOR:            {learn(XOR_INPUTS, XOR):.0%} right")
    print(f"two layers on XOR:            {learn_xor_with_two_layers():.0%} right")


if __name__ == "__main__":
    main()
