"""Digits with PyTorch: a module, its training, its answers."""

import torch
from torch import nn

import fastnn


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def digits():
    images, labels = fastnn.datasets.load_digits()
    return torch.from_numpy(images / 16.0).float().reshape(-1, 8, 8), torch.from_numpy(labels)


def train(net, images, labels, epochs=3, batch=32, rate=0.5):
    optimizer = torch.optim.SGD(net.parameters(), lr=rate)
    loss_of = nn.CrossEntropyLoss()
    for _ in range(epochs):
        for start in range(0, len(labels), batch):
            optimizer.zero_grad()
            loss_of(net(images[start : start + batch]), labels[start : start + batch]).backward()
            optimizer.step()
    return net


def probabilities(net, images):
    with torch.no_grad():
        return net(images).softmax(dim=1)
