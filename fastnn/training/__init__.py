"""Training: options, the loop, its variants, checkpoints."""
