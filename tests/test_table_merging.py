"""Encoders of tables that lie in parts."""

import numpy as np
import pytest

from fastnn.tables import TableEncoder
from fastnn.tables.columns import columns_of, take
from fastnn.tables.kinds import column_kinds
from fastnn.tables.merging import merge_summaries, refine, summarise

pandas = pytest.importorskip("pandas")

N = 3000


def table():
    rng = np.random.default_rng(0)
    x = rng.normal(size=N)
    x[::7] = np.nan
    return pandas.DataFrame(
        {
            "x": x,
            "rarely": np.where(np.arange(N) == N - 1, 5.0, 0.0),
            "colour": rng.choice(["red", "blue", "green", None], N, p=[0.6, 0.3, 0.05, 0.05]),
            "late": np.where(np.arange(N) >= N - 4, "now", "never"),
            "when": pandas.Timestamp("2020-01-01") + pandas.to_timedelta(rng.integers(0, 500 * 24, N), unit="h"),
            "nothing late": np.where(np.arange(N) > N - 3, np.nan, rng.normal(size=N)),
        }
    )


def refined(data, sample, **options):
    columns = columns_of(data)
    encoder = TableEncoder.fit({name: take(column, sample) for name, column in columns.items()}, **options)
    parts = [columns_of(part) for part in np.array_split(data, 3)]
    summaries = merge_summaries([summarise(encoder, part) for part in parts])
    return refine(encoder, summaries, {name: take(column, sample) for name, column in columns.items()}, **options)


def assert_equal(found, expected):
    assert found.feature_names == expected.feature_names
    for mine, theirs in zip(found.columns, expected.columns, strict=True):
        assert mine.state().keys() == theirs.state().keys()
        for key, value in theirs.state().items():
            assert mine.state()[key] == (pytest.approx(value, rel=1e-9) if isinstance(value, float) else value), key


@pytest.mark.parametrize("scale_indicators", [False, True])
def test_a_sample_of_all_rows_gives_the_encoder_of_all_rows(scale_indicators):
    data = table()
    overrides = {"scale_indicators": scale_indicators}
    expected = TableEncoder.fit(data, **overrides)
    found = refined(data, np.arange(N), **overrides)
    assert_equal(found, expected)
    assert found.state().get("indicators", {}) == expected.state().get("indicators", {})
    np.testing.assert_allclose(found.transform(data), expected.transform(data), rtol=1e-5, atol=1e-6)


def test_what_a_sample_does_not_show_comes_from_all_rows():
    data = table()
    expected = TableEncoder.fit(data, scale_indicators=True)
    columns = columns_of(data)
    sample = {name: take(column, np.arange(500)) for name, column in columns.items()}

    encoder = TableEncoder.fit(sample, kinds=column_kinds(columns, ()), scale_indicators=True)
    assert encoder.feature_names != expected.feature_names
    parts = [columns_of(part) for part in np.array_split(data, 3)]
    found = refine(
        encoder, merge_summaries([summarise(encoder, part) for part in parts]), sample, scale_indicators=True
    )
    assert found.feature_names == expected.feature_names
    by_name = {column.name: (column, other) for column, other in zip(found.columns, expected.columns, strict=True)}
    for name in ("rarely", "late", "when"):
        column, other = by_name[name]
        np.testing.assert_allclose(
            [value for value in column.state().values() if isinstance(value, float)],
            [value for value in other.state().values() if isinstance(value, float)],
        )
    assert by_name["nothing late"][0].indicator
    inputs = found.transform(data)
    assert (np.ptp(inputs, axis=0) > 0.5).all()  # none is constant
