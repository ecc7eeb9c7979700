"""Digits with the textbook's two networks: training with a report, a continuation, a file."""

import os
import random
import tempfile

import network
import network2
import numpy as np

import fastnn


def columns():
    images, labels = fastnn.datasets.load_digits()
    pairs = [(image.reshape(64, 1) / 16, label) for image, label in zip(images, labels)]
    training = [(x, network2.vectorized_result(label)) for x, label in pairs[:1000]]
    return training, pairs[1000:1400]


def first():
    training_data, test_data = columns()
    np.random.seed(1)
    random.seed(2)
    net = network.Network([64, 20, 10])
    net.SGD(training_data, 3, 10, 3.0, test_data=test_data)
    net.SGD(training_data, 1, 7, 1.0)
    nabla_b, nabla_w = net.backprop(*training_data[0])
    return [net.evaluate(test_data), *net.weights, *net.biases, *nabla_b, *nabla_w, net.feedforward(test_data[0][0])]


def second():
    training_data, test_data = columns()
    np.random.seed(3)
    random.seed(4)
    results = []
    for cost in (network2.CrossEntropyCost, network2.QuadraticCost):
        net = network2.Network([64, 15, 10], cost=cost)
        net.large_weight_initializer()
        results += net.SGD(
            training_data,
            2,
            10,
            0.5,
            lmbda=2.0,
            evaluation_data=test_data,
            monitor_evaluation_cost=True,
            monitor_evaluation_accuracy=True,
            monitor_training_cost=True,
            monitor_training_accuracy=True,
        )
        net.update_mini_batch(training_data[:5], 0.1, 1.0, 1000)
        name = os.path.join(tempfile.mkdtemp(), "net.json")
        net.save(name)
        again = network2.load(name)
        results += [*again.weights, *again.biases, again.total_cost(test_data, 0.1, convert=True)]
    return results


def main():
    return first() + second()


if __name__ == "__main__":
    for value in main():
        print(np.shape(value))
