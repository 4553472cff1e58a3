"""The same by a hand-written loop, as PyTorch users write it, with a Module of one's own."""

import tercet as tc
from tercet.data import DataLoader, TensorDataset, load_digits


class Net(tc.Module):
    """Two dense layers; `forward` is plain Python."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = tc.layers.Dense(64, 64, activation="relu")
        self.drop = tc.layers.Dropout(0.2)
        self.out = tc.layers.Dense(64, 10)

    def forward(self, x: tc.Tensor) -> tc.Tensor:
        return self.out(self.drop(self.hidden(x.flatten(1))))


def main(epochs: int = 15) -> float:
    tc.seed(0)
    digits = load_digits()
    model = Net()
    optimizer = tc.AdamW(model.parameters(), lr=2e-3)
    loader = DataLoader(TensorDataset(digits.x_train, digits.y_train), batch_size=32, shuffle=True)
    for epoch in range(epochs):
        model.train()
        for xb, yb in loader:
            optimizer.zero_grad()
            loss = tc.cross_entropy(model(xb), yb)
            loss.backward()
            optimizer.step()
        model.eval()
        with tc.no_grad():
            hits = model(digits.x_test).argmax(axis=1) == digits.y_test
            accuracy = hits.mean().item()
        print(f"epoch {epoch + 1:2}  loss {loss.item():.4f}  held-out accuracy {accuracy:.4f}")
    return accuracy


if __name__ == "__main__":
    main()
