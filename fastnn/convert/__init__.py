"""Convert foreign models to and from descriptions: spec, tensors, names."""
