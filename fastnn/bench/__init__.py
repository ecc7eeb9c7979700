"""Compare training speed with other libraries: each in its own process, in turns, with equal results."""
