"""The peer of `training.bench.ts`: reads lines `model batch steps`, answers with milliseconds of CPU time a step. One thread."""
import sys
import time

import torch
from torch import nn

torch.set_num_threads(1)


class Last(nn.Module):
    """The last state of an LSTM."""

    def __init__(self, width, units):
        super().__init__()
        self.cell = nn.LSTM(width, units, batch_first=True)

    def forward(self, x):
        return self.cell(x)[0][:, -1]


class Mean(nn.Module):
    def forward(self, x):
        return x.mean(1)


def dense():
    return nn.Sequential(nn.Linear(784, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(), nn.Linear(200, 10))


def convolutions():
    return nn.Sequential(
        nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(3136, 512), nn.ReLU(), nn.Linear(512, 10))


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10))


def sequence():
    return nn.Sequential(nn.Embedding(86, 8), Last(8, 64), nn.Linear(64, 86))


def text():
    return nn.Sequential(nn.Embedding(10000, 16), Mean(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4))


MODELS = {
    "2nn": (dense, lambda b: torch.rand(b, 784), 10),
    "cnn": (convolutions, lambda b: torch.rand(b, 1, 28, 28), 10),
    "lenet": (lenet, lambda b: torch.rand(b, 1, 28, 28), 10),
    "lstm": (sequence, lambda b: torch.randint(0, 86, (b, 20)), 86),
    "text": (text, lambda b: torch.randint(0, 10000, (b, 40)), 4),
}


def opened(name, batch):
    build, features, classes = MODELS[name]
    model = build()
    return model, features(batch), torch.randint(0, classes, (batch,)), torch.optim.SGD(model.parameters(), 0.05)


def main():
    print(f"PyTorch {torch.__version__}", flush=True)
    known, loss = {}, nn.CrossEntropyLoss()
    for line in sys.stdin:
        name, batch, steps = line.split()
        key = (name, int(batch))
        if key not in known:
            known[key] = opened(*key)
        model, x, y, optimizer = known[key]
        started = time.thread_time()
        for _ in range(int(steps)):
            optimizer.zero_grad()
            loss(model(x), y).backward()
            optimizer.step()
        print((time.thread_time() - started) / int(steps) * 1000, flush=True)


main()
