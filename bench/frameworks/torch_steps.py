"""PyTorch: eager with Adam as it comes, eager with the fused Adam, compiled with the fused Adam."""

from __future__ import annotations

from typing import Any

from ..cases import LR, TRAIN, Case, batch, weights
from ..job import Job, NotHere
from .torch_networks import model_of as network_of

OTHER_NETWORKS = True


def build(case: Case, mode: str, threads: int) -> Job:
    import torch

    torch.set_num_threads(threads)
    model = model_of(torch, case) if case.network == "mlp" else network_of(torch, case.network)
    inputs, classes = batch(case)
    x, y = torch.from_numpy(inputs), torch.from_numpy(classes)
    if case.kind == TRAIN:
        return _training(torch, model, x, y, mode)
    if mode == "fused":
        raise NotHere("inference has no optimizer: the same as torch")
    model.eval()
    # Frozen weights may be laid out anew for the products.
    forward = torch.compile(model, options={"freezing": True}) if mode == "compiled" else model

    def infer() -> Any:
        with torch.inference_mode():
            return forward(x)

    return Job(infer, lambda out: out.numpy())


def model_of(torch: Any, case: Case) -> Any:
    """The case's layers with its weights."""
    activation = {"relu": torch.nn.ReLU, "gelu": torch.nn.GELU}[case.activation]
    layers: list[Any] = []
    for a, b in case.layers:
        layers += [torch.nn.Linear(a, b), activation()]
    model = torch.nn.Sequential(*layers[:-1])
    values = [torch.from_numpy(v.T.copy()) for layer in weights(case) for v in layer]
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), values, strict=True):
            parameter.copy_(value)
    return model


def _training(torch: Any, model: Any, x: Any, y: Any, mode: str) -> Job:
    fused = {} if mode == "eager" else {"fused": True}
    optimizer = torch.optim.Adam(model.parameters(), lr=LR, **fused)

    def loss_of(x: Any, y: Any) -> Any:
        return torch.nn.functional.cross_entropy(model(x), y.flatten())

    forward = torch.compile(loss_of) if mode == "compiled" else loss_of

    def step() -> Any:
        optimizer.zero_grad()
        loss = forward(x, y)
        loss.backward()
        optimizer.step()
        return loss

    return Job(step, lambda loss: loss.detach().numpy())
