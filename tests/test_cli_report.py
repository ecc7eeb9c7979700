"""The report of `fastnn train`: what it says, that nothing in it is code or a request, and what a browser shows."""

import re

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from fastnn.cli import main
from fastnn.cli.report import Section, make_page
from fastnn.kernels.jit import COMPILED
from tools.browser import CHROMIUM, Browser

EVIL = "<script>alert(1)</script>"


def rows_of(kind, n_rows=60):
    """A table with a number, a category with missing values, an identifier, and a target."""
    rng = np.random.default_rng(0)
    size = rng.integers(10, 99, n_rows)
    colour = rng.choice(["red", "green & blue", EVIL, ""], n_rows)
    if kind == "classes":
        target = np.where(size + 20 * (colour == "red") > 60, "big", "small")
    else:
        target = size * 2.5 + 10 * (colour == "red")
    return [
        ("id", "size", f"colour {EVIL}", "answer"),
        *zip(range(1000, 1000 + n_rows), size, colour, target, strict=True),
    ]


def train(folder, kind):
    path = folder / f"{kind}.csv"
    path.write_text("\n".join(",".join(f'"{value}"' for value in row) for row in rows_of(kind)), "utf-8")
    assert main(["train", str(path), "--target", "answer", "--epochs", "8", "-o", str(folder / kind)]) == 0
    return (folder / kind / "report.html").read_text("utf-8")


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    return folder, {kind: train(folder, kind) for kind in ("classes", "quantities")}


def headings(page):
    return re.findall("<h2>(.*?)</h2>", page)


COMMON = ["Scores on the rows held out", "The network", "What the columns were taken for", "How it learned"]


def test_classes_have_confusion_calibration_and_mistakes(reports):
    page = reports[1]["classes"]
    rest = ["What the answers depend on", "Which classes are taken for which", "How far to trust the confidence"]
    assert headings(page) == [*COMMON, *rest, "The worst mistakes", "How to use it"]
    assert page.count("<img ") == 4
    for words in ("always the most frequent class", "linear model", "expected calibration error"):
        assert words in page


def test_quantities_have_residuals_and_mistakes(reports):
    page = reports[1]["quantities"]
    rest = ["What the answers depend on", "Answers and errors: answer", "The worst mistakes: answer", "How to use it"]
    assert headings(page) == [*COMMON, *rest]
    assert page.count("<img ") == 3
    assert "always the mean" in page
    worst = page.split("The worst mistakes")[1].split("</table>")[0]
    errors = [abs(float(re.findall("<td.*?>(.*?)</td>", row)[2])) for row in worst.split("<tr>")[2:]]
    assert len(errors) == 10
    assert errors == sorted(errors, reverse=True)


def test_columns_are_told_as_they_were_taken(reports):
    page = reports[1]["classes"]
    columns = page.split("What the columns were taken for")[1].split("</table>")[0]
    rows = [re.findall("<td.*?>(.*?)</td>", row) for row in columns.split("<tr>")[2:]]
    assert [row[:3] for row in rows] == [
        ["id", "identifier", "left out"],
        ["size", "quantity", "1"],
        ["colour &lt;script&gt;alert(1)&lt;/script&gt;", "category", "4"],
    ]
    missing = sum(row[2] == "" for row in rows_of("classes")[1:])
    assert rows[2][3] == str(missing)


@pytest.mark.parametrize("kind", ["classes", "quantities"])
def test_what_the_table_holds_is_text_and_nothing_is_asked_for(reports, kind):
    page = reports[1][kind]
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert re.findall(r'(?:src|href|action)="(?!data:image/png;base64,)', page) == []
    assert "http" not in page.replace("http-equiv", "")


def test_commands_name_the_folder(reports):
    folder, pages = reports
    assert f"fastnn predict {folder / 'classes'} new.csv" in pages["classes"]


def test_without_matplotlib_the_report_has_no_pictures_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("fastnn.plots.canvas.new_figure", None)
    for module in ("answers", "curves", "understanding", "weights"):
        monkeypatch.setattr(f"fastnn.plots.{module}.new_figure", lacking)
    page = train(tmp_path, "classes")
    assert "<img" not in page
    assert "pip install fastnn[plot]" in page


def lacking(*arguments, **options):
    raise ImportError("figures need matplotlib: pip install fastnn[plot]")


def test_a_page_escapes_titles_texts_tables_and_code():
    page = make_page(EVIL, [Section(EVIL, [EVIL], [[EVIL], [EVIL]], EVIL)])
    assert page.count("&lt;script&gt;") == 7
    assert "<script" not in page


def test_columns_of_numbers_alone_are_aligned_as_numbers():
    page = make_page("t", [Section("s", table=[["a", "b"], ["1,234", "3 values"], ["-5.6%", "7"]])])
    assert "<td class=number>1,234</td><td>3 values</td>" in page


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.skipif(not COMPILED, reason="too slow without compilation")
@pytest.mark.parametrize("width", [1400, 380])
def test_in_a_browser_every_picture_is_there_and_nothing_is_wider_than_the_window(reports, width):
    folder, _ = reports
    with Browser(width=width) as browser:
        browser.visit((folder / "classes" / "report.html").as_uri())
        assert browser.run("[...document.images].every(image => image.complete && image.naturalWidth > 100)")
        assert browser.run("document.documentElement.scrollWidth <= window.innerWidth")
        assert browser.run("document.scripts.length") == 0
