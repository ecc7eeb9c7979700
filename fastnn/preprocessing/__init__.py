"""Preparing data for a network: scaling, one-hot encoding, and splitting into training and test sets."""

from __future__ import annotations

from .encoding import one_hot
from .scalers import MinMaxScaler, StandardScaler, scaler_from_state
from .splitting import train_test_split

__all__ = ["MinMaxScaler", "StandardScaler", "one_hot", "scaler_from_state", "train_test_split"]
