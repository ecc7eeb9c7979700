"""The start of a network for tables that is fitted to its inputs."""

from __future__ import annotations

from typing import Any

from ..embeddings import PiecewiseLinearEmbedding
from ..initialisers import bins_from_data, from_data
from ..network import Network
from .recipe import TabularRecipe

__all__ = ["fit_start"]


def fit_start(net: Network, X: Any, recipe: TabularRecipe) -> None:
    """Fit to the inputs what of the start the recipe wants: bins, then weights and biases.

    Parameters
    ----------
    net : Network
        Is changed; its seed chooses the rows that weights and biases are fitted to.
    X : ndarray, (n, n_inputs)
    recipe : TabularRecipe
    """
    if isinstance(net.embedding, PiecewiseLinearEmbedding):
        bins_from_data(net, X)
    if "data start" in recipe.pieces:
        from_data(net, X, net.seed)
