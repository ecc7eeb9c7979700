"""Compiling ahead of time."""

import subprocess
import sys

import pytest

import fastnn
from fastnn.kernels import threads
from fastnn.kernels.jit import COMPILED

WARM = """
import fastnn
from fastnn.kernels import kernel_table, predict, train_loop
fastnn.warmup(["float32"], progress=False)
kept = [*kernel_table.every_kernel()]
kept += [train_loop.train, predict.predict, predict.predict_few]
print(*[dispatcher.py_func.__name__ for dispatcher in kept if len(dispatcher.overloads) != 1])
"""


@pytest.mark.skipif(not COMPILED, reason="without compilation nothing is compiled")
def test_warmup_leaves_no_kernel_of_the_type_to_be_compiled_later():
    found = subprocess.run([sys.executable, "-c", WARM], capture_output=True, text=True, timeout=300, check=True)
    assert found.stdout.split() == ([] if threads.max_threads() > 1 else ["train", "predict"])  # those of many threads


@pytest.mark.parametrize("dtypes", ["float32", ["float16"]])
def test_unknown_types_are_refused_before_anything_is_compiled(dtypes):
    with pytest.raises(ValueError, match="dtypes must be a sequence of float32, float64"):
        fastnn.warmup(dtypes)
