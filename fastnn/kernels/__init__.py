"""Everything that is compiled; no other part of the package imports numba."""
