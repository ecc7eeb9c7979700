"""The start of a network for tables that is fitted to its inputs."""

from __future__ import annotations

from typing import Any

from ..embeddings import PiecewiseLinearEmbedding
from ..initialisers import bins_from_data, from_data
from ..network import Network
from .recipe import EMBEDDINGS, TabularRecipe

__all__ = ["fit_start", "starts_from_data"]


def starts_from_data(recipe: TabularRecipe) -> bool:
    """Return whether anything of the start is fitted to the inputs."""
    has_bins = "embedding" in recipe.pieces and isinstance(EMBEDDINGS[recipe.embedding], PiecewiseLinearEmbedding)
    return has_bins or "data start" in recipe.pieces


def fit_start(net: Network, X: Any, seed: int, recipe: TabularRecipe) -> None:
    """Fit to the inputs what of the start the recipe wants: bins, then weights and biases.

    Parameters
    ----------
    net : Network
        Is changed.
    X : ndarray, (n, n_inputs)
    seed : int
        Of the rows that weights and biases are fitted to.
    recipe : TabularRecipe
    """
    if isinstance(net.embedding, PiecewiseLinearEmbedding):
        bins_from_data(net, X)
    if "data start" in recipe.pieces:
        from_data(net, X, seed)
