"""Networks whose outputs are averaged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .. import inputs
from ..network import Network


class Ensemble:
    """Average the outputs of several networks.

    Parameters
    ----------
    networks : sequence of Network
        With the same numbers of inputs and outputs.

    Examples
    --------
    >>> import fastnn
    >>> ensemble = fastnn.Ensemble([fastnn.Network([2, 3, 1], seed=seed) for seed in range(5)])
    >>> ensemble.predict([[0.0, 1.0]]).shape
    (1, 1)
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        if not isinstance(networks, Iterable):
            raise TypeError(f"networks must be a sequence of Network, got {networks!r:.80}")
        self.networks = tuple(networks)
        others = [net for net in self.networks if not isinstance(net, Network)]
        if others or not self.networks:
            raise TypeError(f"networks must be one Network or more, got {others[0] if others else ()!r:.80}")
        shapes = {(net.sizes[0], net.sizes[-1]) for net in self.networks}
        if len(shapes) != 1:
            raise ValueError(f"networks must have the same inputs and outputs, got {sorted(shapes)}")

    def predict(self, X: Any) -> np.ndarray:
        """Return the mean of the networks' outputs, (n, n_outputs), float64; X as in `Network.predict`."""
        X = inputs.as_indexable("X", X)
        total = self.networks[0].predict(X).astype(np.float64)
        for net in self.networks[1:]:
            total += net.predict(X)
        return total / len(self.networks)

    def classify(self, X: Any) -> np.ndarray:
        """Return the index of the largest mean, (n,); with one output 0 or 1, split at 0.5."""
        outputs = self.predict(X)
        return (outputs[:, 0] >= 0.5 if outputs.shape[1] == 1 else outputs.argmax(axis=1)).astype(np.int64)
