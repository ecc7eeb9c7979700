"""Networks for tables: a recipe, and estimators that follow it.

============== ===============================================================================
recipe.py      RealMLP, whole and simple, as arguments of `Network` and of `Network.fit`
metrics.py     what chooses the best epoch on validation rows
request.py     one call of the estimators' `fit`, checked: the table, its target, the rows held out
training.py    the networks of a fit, alone or side by side
base.py        what `TabularClassifier` and `TabularRegressor` share
estimators.py  the two
============== ===============================================================================

Each module imports only those above it; the recipe alone needs no scikit-learn.
"""
