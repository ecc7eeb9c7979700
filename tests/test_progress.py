"""The progress bar of a training."""

import pytest
from helpers import regression, regressor


def test_progress_is_shown_on_request(capsys):
    X, y = regression()
    regressor().fit(X, y, epochs=3, progress=True)
    text = capsys.readouterr().err
    assert "3/3 epochs" in text
    assert "loss=" in text


@pytest.mark.parametrize("progress", [None, False])
def test_progress_is_silent_outside_a_terminal_and_when_switched_off(progress, capsys):
    X, y = regression()
    regressor().fit(X, y, epochs=3, progress=progress)
    assert capsys.readouterr() == ("", "")
