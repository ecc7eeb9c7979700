"""scikit-learn's multilayer perceptrons with fastnn's arithmetic: what they compute, not what they check or promise.

====================== ============================================================================
scikit_learn.py        the private names of scikit-learn that are needed, checked on import
options.py             the options that scikit-learn's estimators lack
overrides.py           which of scikit-learn's methods a subclass has replaced
coefficients.py        the network whose memory `coefs_` and `intercepts_` are views of
examples.py            the examples of a fit, their weights, and scikit-learn's form of the loss
optimizers.py          scikit-learn's optimizers, and their state in the kernels' buffers
request.py             one call of `fit`: what it asks for, checked before anything changes
lbfgs.py               the training by L-BFGS
stochastic.py          the training in steps
perceptron.py          the methods that replace scikit-learn's
skl2onnx_converters.py the converters that skl2onnx finds
====================== ============================================================================

Each module imports only those above it.
"""
