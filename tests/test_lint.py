"""The lint over the kernels' syntax trees: the kernels pass, and it can fail; the places in which mutants are made."""

from pathlib import Path

import pytest
from helpers import in_checkout

lint = pytest.importorskip("tools.lint_kernels")
mutate = pytest.importorskip("tools.mutate")
INSIDE, OUTSIDE = Path("fastnn/kernels/some.py"), Path("fastnn/some.py")
SOUND = '''
from . import far
from .near import halve, scale as times

@kernel
def double(out, a, n):
    """out: (n,) = 2 a."""
    for i in range(n):
        out[i] = 2 * a[i]

@linked_kernel(Slot.TREBLE, (Floats, Floats, int, KernelTable))
def treble(out, a, n, kernel_table):
    """out: (n,) = 3 a."""
    double(out, a, n)
    call(kernel_table, halve, out, n)
    for i in range(n):
        out[i] += a[i]
'''
LINKED = {"near": {"halve", "scale"}, "far": {"shift"}}


def complaints(path, text):
    return list(lint.complaints(path, text, LINKED))


def test_the_kernels_keep_the_rules(capsys):
    assert lint.main() == 0, capsys.readouterr().out


def test_a_sound_kernel_passes():
    assert not complaints(INSIDE, SOUND)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("@kernel\n", "@kernel\n@other\n", "more than one decorator"),
        ('    """out: (n,) = 2 a."""\n', "", "no docstring"),
        ("a, n):", "a, n=3):", "has defaults"),
        ("2 * a[i]", "2 * np.zeros(3)[0]", "calls zeros"),
        ("2 * a[i]", "[a[i]][0]", "makes a list"),
        ("out[i] = 2 * a[i]", "raise ValueError", "raises"),
        ("2 * a[i]", "np.random.normal()", "draws random numbers"),
        ("out[i] = 2", "b = 2", "writes to neither"),
        ("@kernel\n", "@kernel(fastmath=True)\n", "fastmath=True"),
        ("2 * a[i]", "print(a[i])", "calls print"),
        (
            "@linked_kernel(Slot.TREBLE, (Floats, Floats, int, KernelTable))",
            "@linked_kernel",
            "treble has no signature",
        ),
        ("@linked_kernel(Slot.TREBLE, (Floats", "@linked_kernel((Floats", "treble has no signature"),
        ("Floats, Floats, int,", "Floats, int,", "treble has no signature, or one that is not as long"),
        ("call(kernel_table, halve, out, n)", "halve(out, n)", "some.py:15: calls halve directly"),
        ("    double(out, a, n)", "    times(out, n)", "some.py:14: calls times directly"),
        ("    double(out, a, n)", "    far.shift(out, n)", "some.py:14: calls shift directly"),
        ("    double(out, a, n)", "    treble(out, a, n, kernel_table)", "some.py:14: calls treble directly"),
        ("    double(out, a, n)", "    out[0] = kernel_table[Slot.HALVE]", "some.py:14: names Slot.HALVE outside"),
        ("    double(out, a, n)", "    out[0] = network.kernel_table[3]", "some.py:14: indexes the kernel table"),
    ],
)
def test_each_rule_can_be_broken(old, new, complaint):
    assert old in SOUND
    assert any(complaint in line for line in complaints(INSIDE, SOUND.replace(old, new)))


def test_python_may_call_a_linked_kernel():
    assert not complaints(OUTSIDE, "from .kernels.near import halve\nhalve(out, 3)\n")


def test_numba_stays_in_its_folder():
    assert complaints(OUTSIDE, "from numba import njit\n")
    assert not complaints(INSIDE, "from numba import njit\n")


@in_checkout
def test_the_modules_and_tests_of_mutants_exist():
    """A test that does not exist would kill every mutant."""
    tests_of = mutate.modules()
    assert {"kernels/train_loop.py", "inputs/rows.py"} < tests_of.keys()
    assert "kernels/__init__.py" not in tests_of
    assert [path.stem for path in tests_of["kernels/elementary.py"]] == [
        "test_elementary",
        "test_losses",
        "test_network",
    ]
    assert all((mutate.ROOT / f"tests/test_{name}.py").exists() for name in mutate.COMPILED_TESTS.split())


@pytest.mark.parametrize("entry", [("kernels/nowhere.py", "linking"), ("kernels/simd.py", "nowhere")])
def test_what_does_not_exist_is_an_error(entry, monkeypatch):
    monkeypatch.setattr(mutate, "PATTERNS", dict([entry]))
    with pytest.raises(ValueError, match="is no module, or a test of"):
        mutate.modules()


@in_checkout
def test_the_equivalent_mutants_are_mutants():
    keys = mutate.equivalent_mutants()
    mutants = [mutant.key for module in {key[0] for key in keys} for mutant in mutate.mutants_of(module)]
    assert not keys - set(mutants)
