"""The NumPy network of the textbook, on fastnn's kernels: `network` its first version, `network2` its second.

Where a program says `import network`, let it say `from fastnn.compat.textbook import network`. The numbers are the same
to the rounding of float64, and so are the draws from `numpy.random` and `random`. What a program replaces is followed,
at NumPy's speed: a method in a subclass, in the class or in one object; the module's `sigmoid` and `sigmoid_prime`; a
cost.
"""

from . import network, network2

__all__ = ["network", "network2"]
