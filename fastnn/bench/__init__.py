"""Training speed beside that of other libraries, each in a process of its own, in turns, with equal results."""
