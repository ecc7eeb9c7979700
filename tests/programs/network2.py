"""The network with a choice of costs, L2 regularisation, monitoring and files, in plain NumPy."""

import json
import random
import sys

import numpy as np


class QuadraticCost:
    @staticmethod
    def fn(a, y):
        return 0.5 * np.linalg.norm(a - y) ** 2

    @staticmethod
    def delta(z, a, y):
        return (a - y) * sigmoid_prime(z)


class CrossEntropyCost:
    @staticmethod
    def fn(a, y):
        return np.sum(np.nan_to_num(-y * np.log(a) - (1 - y) * np.log(1 - a)))

    @staticmethod
    def delta(z, a, y):
        return a - y


class Network:
    def __init__(self, sizes, cost=CrossEntropyCost):
        self.num_layers = len(sizes)
        self.sizes = sizes
        self.default_weight_initializer()
        self.cost = cost

    def default_weight_initializer(self):
        self.biases = [np.random.randn(n, 1) for n in self.sizes[1:]]
        self.weights = [np.random.randn(n, m) / np.sqrt(m) for m, n in zip(self.sizes[:-1], self.sizes[1:])]

    def large_weight_initializer(self):
        self.biases = [np.random.randn(n, 1) for n in self.sizes[1:]]
        self.weights = [np.random.randn(n, m) for m, n in zip(self.sizes[:-1], self.sizes[1:])]

    def feedforward(self, a):
        for b, w in zip(self.biases, self.weights):
            a = sigmoid(np.dot(w, a) + b)
        return a

    def SGD(
        self,
        training_data,
        epochs,
        mini_batch_size,
        eta,
        lmbda=0.0,
        evaluation_data=None,
        monitor_evaluation_cost=False,
        monitor_evaluation_accuracy=False,
        monitor_training_cost=False,
        monitor_training_accuracy=False,
    ):
        evaluation_cost, evaluation_accuracy, training_cost, training_accuracy = [], [], [], []
        n = len(training_data)
        for epoch in range(epochs):
            random.shuffle(training_data)
            for k in range(0, n, mini_batch_size):
                self.update_mini_batch(training_data[k : k + mini_batch_size], eta, lmbda, n)
            print("Epoch %s training complete" % epoch)
            if monitor_training_cost:
                training_cost.append(self.total_cost(training_data, lmbda))
                print(f"Cost on training data: {training_cost[-1]}")
            if monitor_training_accuracy:
                training_accuracy.append(self.accuracy(training_data, convert=True))
                print(f"Accuracy on training data: {training_accuracy[-1]} / {n}")
            if monitor_evaluation_cost:
                evaluation_cost.append(self.total_cost(evaluation_data, lmbda, convert=True))
                print(f"Cost on evaluation data: {evaluation_cost[-1]}")
            if monitor_evaluation_accuracy:
                evaluation_accuracy.append(self.accuracy(evaluation_data))
                print(f"Accuracy on evaluation data: {evaluation_accuracy[-1]} / {len(evaluation_data)}")
            print()
        return evaluation_cost, evaluation_accuracy, training_cost, training_accuracy

    def update_mini_batch(self, mini_batch, eta, lmbda, n):
        sum_b = [np.zeros(b.shape) for b in self.biases]
        sum_w = [np.zeros(w.shape) for w in self.weights]
        for x, y in mini_batch:
            nabla_b, nabla_w = self.backprop(x, y)
            sum_b = [s + part for s, part in zip(sum_b, nabla_b)]
            sum_w = [s + part for s, part in zip(sum_w, nabla_w)]
        pace, decay = eta / len(mini_batch), 1 - eta * (lmbda / n)
        self.weights = [decay * w - pace * s for w, s in zip(self.weights, sum_w)]
        self.biases = [b - pace * s for b, s in zip(self.biases, sum_b)]

    def backprop(self, x, y):
        nabla_b, nabla_w = [None] * len(self.biases), [None] * len(self.weights)
        activations, zs = [x], []
        for b, w in zip(self.biases, self.weights):
            zs.append(np.dot(w, activations[-1]) + b)
            activations.append(sigmoid(zs[-1]))
        delta = self.cost.delta(zs[-1], activations[-1], y)
        for layer in range(1, self.num_layers):
            if layer > 1:
                delta = np.dot(self.weights[-layer + 1].T, delta) * sigmoid_prime(zs[-layer])
            nabla_b[-layer] = delta
            nabla_w[-layer] = np.dot(delta, activations[-layer - 1].T)
        return nabla_b, nabla_w

    def accuracy(self, data, convert=False):
        pairs = [(np.argmax(self.feedforward(x)), np.argmax(y) if convert else y) for x, y in data]
        return sum(int(found == wanted) for found, wanted in pairs)

    def total_cost(self, data, lmbda, convert=False):
        cost = 0.0
        for x, y in data:
            cost += self.cost.fn(self.feedforward(x), vectorized_result(y) if convert else y) / len(data)
        return cost + 0.5 * (lmbda / len(data)) * sum(np.linalg.norm(w) ** 2 for w in self.weights)

    def save(self, filename):
        content = {
            "sizes": self.sizes,
            "weights": [w.tolist() for w in self.weights],
            "biases": [b.tolist() for b in self.biases],
            "cost": str(self.cost.__name__),
        }
        with open(filename, "w") as file:
            json.dump(content, file)


def load(filename):
    with open(filename) as file:
        content = json.load(file)
    net = Network(content["sizes"], cost=getattr(sys.modules[__name__], content["cost"]))
    net.weights = [np.array(w) for w in content["weights"]]
    net.biases = [np.array(b) for b in content["biases"]]
    return net


def vectorized_result(j):
    column = np.zeros((10, 1))
    column[j] = 1.0
    return column


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def sigmoid_prime(z):
    return sigmoid(z) * (1 - sigmoid(z))
