"""The NumPy network of the textbook, on fastnn's kernels: `network` its first version, `network2` its second.

Where a program says `import network`, let it say `from fastnn.compat.textbook import network`. The numbers are the same
to the rounding of float64, and so are the draws from `numpy.random` and `random`. Classes that override one of the
methods in which the arithmetic lies are heard: their method runs, at NumPy's speed.
"""

from . import network, network2

__all__ = ["network", "network2"]
