"""Draw `docs/images/page.png`: the page of `fastnn show`, a digit drawn on it, in a headless Chromium.

Usage: python -m tools.draw_page [--scheme dark] [--width 1280] [--output FILE]
"""

from __future__ import annotations

import argparse
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

import fastnn
from fastnn.page import Examples, ModelPage, PageServer, PictureInputs
from tools.browser import CHROMIUM, Browser

PICTURE = Path(__file__).parent.parent / "docs" / "images" / "page.png"
STROKE = [(25, 20), (38, 12), (54, 10), (68, 16), (73, 28), (66, 41), (48, 48)]
STROKE += [(48, 48), (68, 54), (77, 68), (70, 83), (52, 90), (35, 88), (22, 80)]
"""A 3, in percent of the pad."""


def make_page() -> ModelPage:
    """Train a network on the digits; return its page."""
    X, y = fastnn.datasets.load_digits()
    net = fastnn.Network([64, 48, 10], loss="squared_error", input_scale=1 / 16, seed=0)
    net.fit(X, y, epochs=60, batch_size=10, learning_rate=1.5)
    net.class_names = tuple("0123456789")
    model = fastnn.TableModel.from_description(net.describe())
    return ModelPage(model, PictureInputs(model, (8, 8), 16.0, Examples(X, y)), "digits")


def draw(browser: Browser, address: str) -> None:
    """Draw the digit, and wait until all neurons have lit up."""
    browser.visit(address)
    browser.wait("document.body.dataset.answers > 0")
    left, top, side = browser.run("(({x, y, width}) => [x, y, width])(byId('pad').getBoundingClientRect())")
    browser.run("clearPad()")
    points = np.concatenate([np.linspace(a, b, 6) for a, b in pairwise(STROKE)])
    browser.drag([(left + x * side / 100, top + y * side / 100) for x, y in points])
    browser.wait("!busy && answer !== null")
    time.sleep(2)
    browser.wait("!running")


def main() -> int:
    """Draw the picture; return 1 without Chromium."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scheme", choices=("light", "dark"), default="light")
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--output", type=Path, default=PICTURE)
    arguments = parser.parse_args()
    if CHROMIUM is None:
        print("chromium is not installed")
        return 1
    with PageServer(make_page()) as server, Browser(arguments.width, 860) as browser:
        browser.scheme(arguments.scheme)
        draw(browser, server.address)
        browser.screenshot(arguments.output)
    with Image.open(arguments.output) as picture:  # a third of the bytes, and no difference to the eye
        few_colours = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    few_colours.save(arguments.output, optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
