"""Examples on which several tests of the estimators train."""

import fastnn

DIGITS, LABELS = (array[:400] for array in fastnn.datasets.load_digits())
DIGITS = DIGITS / 16.0
INK = DIGITS.sum(axis=1)
SHORT = {"random_state": 3, "max_iter": 6}
