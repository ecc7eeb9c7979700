"""Benchmarks: kernels, training steps, whole trainings, and the comparison with other libraries."""
