"""Training steps by PyTorch in binary64, for `pytorch.system.test.ts`:

    python3 client-sdk/test/vectors/pytorch-steps.py > client-sdk/test/vectors/pytorch-steps.json

Weights and examples come from a hash of their place, the same in the test, so that the file holds results only.
"""
import json

import torch
from torch import nn

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)

BATCH, STEPS, PART = 10, 100, 10
M32 = 0xFFFFFFFF


def hashed(seed, count):
    """Values in [-1, 1) of 24 bits. Products wrap at 64 bits, of which the lower 32 are right."""
    x = (torch.arange(count, dtype=torch.int64) * 0x9E3779B1 + seed * 0x85EBCA6B) & M32
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = ((x ^ (x >> shift)) * factor) & M32
    x = x ^ (x >> 16)
    return (x >> 8).double() / 2**23 - 1


def float32(values):
    return values.float().double()


def weights(shapes):
    """In the layout of TensorFlow.js; the fan-in is what a unit sees."""
    for at, shape in enumerate(shapes):
        fan_in = 100 if len(shape) == 1 else torch.Size(shape[:-1]).numel()
        yield float32(hashed(at + 1, torch.Size(shape).numel()) * (3 / fan_in) ** 0.5).reshape(shape)


class Flat(nn.Module):
    """Pixels before channels."""

    def forward(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)


def dense():
    return nn.Sequential(nn.Linear(784, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(), nn.Linear(200, 10))


def convolutions():
    return nn.Sequential(
        nn.Unflatten(1, (1, 28, 28)),
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 5), nn.ReLU(), nn.MaxPool2d(2),
        Flat(), nn.Linear(200, 32), nn.ReLU(), nn.Linear(32, 10))


CASES = {
    "2nn": (dense, 0.05, 0.0),
    "cnn": (convolutions, 0.02, 0.9),
}


def ours(parameter):
    """[o, c, h, w] -> [h, w, c, o] and [o, i] -> [i, o]: the layout of TensorFlow.js."""
    return parameter.permute(2, 3, 1, 0) if parameter.dim() == 4 else parameter.t() if parameter.dim() == 2 else parameter


def run(build, rate, momentum):
    model = build()
    parameters = list(model.parameters())
    with torch.no_grad():
        for parameter, start in zip(parameters, weights([list(ours(p).shape) for p in parameters])):
            ours(parameter).copy_(start)
    features = float32((hashed(100, BATCH * STEPS * 784) + 1) / 2).reshape(-1, 784)
    labels = torch.floor((hashed(101, BATCH * STEPS) + 1) * 5).long()
    optimizer, loss = torch.optim.SGD(parameters, rate, momentum=momentum), nn.CrossEntropyLoss()
    losses = []
    for x, y in zip(features.split(BATCH), labels.split(BATCH)):
        optimizer.zero_grad()
        found = loss(model(x), y)
        found.backward()
        optimizer.step()
        losses.append(found.item())
    tensors = []
    for parameter in parameters:
        flat = ours(parameter.detach()).flatten()
        every = max(1, flat.numel() // 40)
        tensors.append({"norm": flat.norm().item(), "every": every, "values": flat[::every].tolist()})
    return {
        "learningRate": rate, "momentum": momentum, "tensors": tensors,
        "losses": [sum(losses[at:at + PART]) / PART for at in range(0, STEPS, PART)],
    }


print(json.dumps({"torch": torch.__version__, **{name: run(*of) for name, of in CASES.items()}}, indent=1))
