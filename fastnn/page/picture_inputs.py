"""Models that take pictures: drawings and examples as their inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..datasets import load_digits
from ..table_model import TableModel
from .drawing import SIDE, Frame, as_image, enlarged, frame_of, parse_drawing
from .request import check_fields, integer

if TYPE_CHECKING:
    from numpy.typing import NDArray

EXAMPLES = 20
"""Examples that are shown at a time."""


@dataclass(frozen=True, eq=False)
class Examples:
    """Pictures to choose from: pixels (n, height * width) from 0 to full ink, labels (n,)."""

    pixels: NDArray[Any]
    labels: NDArray[np.int64]


class PictureInputs:
    """Turn drawings into the inputs of a model.

    Parameters
    ----------
    model : TableModel
        Its columns are the pixels, row by row.
    shape : (height, width)
    ink : float
        A pixel full of ink; 0 is background.
    examples : Examples
        What one may choose instead of drawing.
    """

    kind = "picture"

    def __init__(self, model: TableModel, shape: tuple[int, int], ink: float, examples: Examples) -> None:
        self.encoder, self.shape, self.ink, self.examples = model.encoder, shape, ink, examples
        self._order = in_turns(examples.labels)

    @property
    def questions(self) -> dict[str, Callable[[dict[str, Any]], dict[str, Any]]]:
        """Return what the page may ask beyond the model's answer."""
        return {"examples": self.choice}

    def describe(self) -> dict[str, Any]:
        """Return what the page needs to know once."""
        return {"shape": self.shape, "side": SIDE, "pen": pen_width(self.shape), "examples": len(self.examples.pixels)}

    def choice(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return some examples: field `turn` counts them through, from 0."""
        check_fields(request, "turn")
        turn = integer(request, "turn", 0, 1 << 30)
        places = (EXAMPLES * turn + np.arange(min(EXAMPLES, len(self._order)))) % max(1, len(self._order))
        chosen = self._order[places]
        return {
            "indices": chosen,
            "images": np.round(self.examples.pixels[chosen] / self.ink, 3),
            "labels": self.examples.labels[chosen],
        }

    def read(self, request: dict[str, Any]) -> tuple[NDArray[np.float64], dict[str, Any]]:
        """Return the columns of a request's picture, (1, n), and the image as the page shows it.

        The picture is field `drawing`, bytes in base64, or field `example`, the index of one.
        """
        check_fields(request, "drawing", "example")
        if len(request) != 1:
            raise ValueError("the request must have one of the fields drawing and example")
        frame: Frame | None = Frame(0.0, 0.0, SIDE / max(self.shape))
        if "example" in request:
            pixels = self.examples.pixels[integer(request, "example", 0, len(self.examples.pixels))]
        else:
            drawing = parse_drawing(request["drawing"])
            frame = frame_of(drawing, self.shape)
            pixels = as_pixels(as_image(drawing, self.shape), self.ink)
        shown = {"image": np.round(pixels / self.ink, 3), "frame": None if frame is None else vars(frame)}
        return np.array(pixels, np.float64).reshape(1, -1), shown


def in_turns(labels: NDArray[Any]) -> NDArray[np.int64]:
    """Return an order, random otherwise, in which the classes take turns."""
    order = np.random.default_rng(0).permutation(len(labels))
    shuffled = labels[order]
    rounds = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        of_class = np.flatnonzero(shuffled == label)
        rounds[of_class] = np.arange(len(of_class))
    taken: NDArray[np.int64] = order[np.argsort(rounds, kind="stable")]
    return taken


def as_pixels(image: NDArray[np.float64], ink: float) -> NDArray[np.float64]:
    """Return an image from 0 to 1 as pixels up to full ink, in whole numbers where the data have them."""
    pixels = image.ravel() * ink
    return np.rint(pixels) if ink >= 16 else pixels


def pen_width(shape: Sequence[int]) -> float:
    """Return the width of the pen as a share of the pad: strokes of small pictures are thick."""
    return 0.13 if max(shape) <= 16 else 0.09


def enlarged_digits() -> Examples:
    """Return digits of the package as pictures of 28 x 28 pixels up to 255, for models of MNIST without its files."""
    X, y = load_digits()
    chosen = np.random.default_rng(0).permutation(len(X))[:200]
    images = [as_image(enlarged(row.reshape(8, 8) / 16), (28, 28)) for row in X[chosen]]
    return Examples(np.array([as_pixels(image, 255) for image in images]), y[chosen])
