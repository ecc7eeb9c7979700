"""The lint over the kernels' syntax trees: the kernels pass, and it can fail."""

from pathlib import Path

import pytest

lint = pytest.importorskip("tools.lint_kernels")
INSIDE, OUTSIDE = Path("fastnn/kernels/some.py"), Path("fastnn/some.py")
SOUND = '''
@kernel
def double(out, a, n):
    """out: (n,) = 2 a."""
    for i in range(n):
        out[i] = 2 * a[i]
'''


def test_the_kernels_keep_the_rules(capsys):
    assert lint.main() == 0, capsys.readouterr().out


def test_a_sound_kernel_passes():
    assert not list(lint.complaints(INSIDE, SOUND))


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("@kernel\n", "@kernel\n@other\n", "more than one decorator"),
        ('    """out: (n,) = 2 a."""\n', "", "no docstring"),
        ("a, n)", "a, n=3)", "has defaults"),
        ("2 * a[i]", "2 * np.zeros(3)[0]", "calls zeros"),
        ("2 * a[i]", "[a[i]][0]", "makes a list"),
        ("out[i] = 2 * a[i]", "raise ValueError", "raises"),
        ("2 * a[i]", "np.random.normal()", "draws random numbers"),
        ("out[i] =", "b =", "writes to neither"),
        ("@kernel\n", "@kernel(fastmath=True)\n", "fastmath=True"),
        ("2 * a[i]", "print(a[i])", "calls print"),
    ],
)
def test_each_rule_can_be_broken(old, new, complaint):
    assert old in SOUND
    assert any(complaint in line for line in lint.complaints(INSIDE, SOUND.replace(old, new)))


def test_numba_stays_in_its_folder():
    assert list(lint.complaints(OUTSIDE, "from numba import njit\n"))
    assert not list(lint.complaints(INSIDE, "from numba import njit\n"))
