"""Augmentation: examples that are changed at random each time a training reads them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from .checks import check_bool, check_float, check_int, check_non_negative
from .kernels import image_distortion, layout

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Images"]

TRUNCATE = 4.0
"""Standard deviations at which the Gaussian ends, as in `scipy.ndimage.gaussian_filter`."""

FIELD_ALIGNMENT = 16


@dataclass(frozen=True, kw_only=True)
class Images:
    """Distort images anew for every example of every epoch: `fit(..., augmentation=Images(height=28, width=28, ...))`.

    Each image is shifted, rotated, scaled, sheared, mirrored and bent by numbers drawn uniformly up to the limits
    given; a limit of 0 leaves that part out. The pixels are interpolated bilinearly, on the threads that train, from
    the caller's array as it is. Validation data are not distorted. The draws depend on the network's seed, the epoch
    and the position in the epoch alone: the same bits for any number of threads, and after a resume.

    Parameters
    ----------
    height, width : int
        Of the images in pixels; each row of X holds one, row by row.
    shift : float, default 0
        Largest shift along either axis, in pixels.
    rotation : float, default 0
        Largest rotation about the centre, in degrees.
    scale : float, default 0
        Largest part of its size by which each axis grows or shrinks; below 1.
    shear : float, default 0
        Largest angle of the shear, in degrees; below 90.
    elastic_alpha : float, default 0
        Factor of the elastic field, in pixels. The field is uniform noise of -1..1 for each pixel and axis, smoothed
        by a Gaussian.
    elastic_sigma : float, default 4
        Standard deviation of that Gaussian, in pixels.
    horizontal_flip : bool, default False
        Mirror every other image, on average, left to right.
    background : float, default 0
        Value of what lies outside the image, as in X.

    Notes
    -----
    The elastic field is that of Simard, Steinkraus and Platt, "Best Practices for Convolutional Neural Networks Applied
    to Visual Document Analysis", ICDAR 2003, who use sigma 4 and alpha 34 on images of 29 x 29.

    Examples
    --------
    >>> import fastnn
    >>> X, y = fastnn.datasets.load_digits()
    >>> images = fastnn.augmentation.Images(height=8, width=8, shift=0.5, rotation=10, scale=0.1)
    >>> net = fastnn.Network([64, 16, 10], activation=["relu", "softmax"], loss="cross_entropy", input_scale=1 / 16)
    >>> history = net.fit(X, y, epochs=2, learning_rate=0.1, augmentation=images)
    >>> images.apply(X[:3]).shape
    (3, 64)
    """

    height: int
    width: int
    shift: float = 0.0
    rotation: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    elastic_alpha: float = 0.0
    elastic_sigma: float = 4.0
    horizontal_flip: bool = False
    background: float = 0.0

    def __post_init__(self) -> None:
        for name in ("height", "width"):
            object.__setattr__(self, name, check_int(name, getattr(self, name), 1))
        for name in ("shift", "rotation", "scale", "shear", "elastic_alpha", "elastic_sigma"):
            object.__setattr__(self, name, check_non_negative(name, getattr(self, name)))
        object.__setattr__(self, "background", check_float("background", self.background))
        check_bool("horizontal_flip", self.horizontal_flip)
        for name, limit in (("scale", 1), ("shear", 90)):
            if getattr(self, name) >= limit:
                raise ValueError(f"{name} must be below {limit}, got {getattr(self, name)!r}")
        if self.elastic_alpha and not self.elastic_sigma:
            raise ValueError("elastic_sigma must be above 0 with elastic_alpha, got 0")

    @property
    def n_pixels(self) -> int:
        """Pixels of an image: the number of inputs of a network that reads it."""
        return self.height * self.width

    def apply(self, X: ArrayLike, *, seed: int = 0, epoch: int = 0) -> NDArray[np.float32]:
        """Return distorted copies of images, to look at what a training would see.

        Parameters
        ----------
        X : array_like, shape (n, height * width)
            Images of finite numbers.
        seed, epoch : int, default 0
            Other numbers draw other distortions. A training has draws of its own.

        Returns
        -------
        ndarray of float32, shape (n, height * width)

        Raises
        ------
        ValueError
            If `X` has another shape or holds NaN or infinity.
        """
        out = np.array(X, np.float32, order="C")
        if out.ndim != 2 or out.shape[1] != self.n_pixels:
            raise ValueError(f"X must have shape (n, {self.n_pixels}), got {out.shape}")
        if not np.isfinite(out).all():
            raise ValueError("X must hold finite numbers, got NaN or infinity")
        seed, epoch = check_int("seed", seed, 0), check_int("epoch", epoch, 0)
        settings = pack_perturbations(self, out.dtype, seed=seed)
        image_distortion.distort_images(out.reshape(-1), settings, epoch, len(out))
        return out

    def __repr__(self) -> str:
        given = (field for field in fields(self) if getattr(self, field.name) != field.default)
        return f"Images({', '.join(f'{field.name}={getattr(self, field.name)!r}' for field in given)})"


def check_augmentation(value: Any, n_inputs: int) -> Images | None:
    """Return the argument of `fit`, checked for a network of so many inputs."""
    if value is None:
        return None
    if not isinstance(value, Images):
        raise TypeError(f"augmentation must be a fastnn.augmentation.Images or None, got {type(value).__name__}")
    if value.n_pixels != n_inputs:
        raise ValueError(
            f"augmentation distorts images of {value.height} x {value.width} = {value.n_pixels} pixels, but the "
            f"network has {n_inputs} inputs"
        )
    return value


def gaussian_taps(sigma: float) -> NDArray[np.float64]:
    """Return the weights of a Gaussian filter, which sum to 1, with its radius of `TRUNCATE` standard deviations."""
    radius = int(TRUNCATE * sigma + 0.5)
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return np.asarray(taps / taps.sum())


def pack_perturbations(
    images: Images | None,
    dtype: Any,
    *,
    input_scale: float = 1.0,
    n_rows: int = 1,
    dropout: bool = False,
    input_noise: float = 0.0,
    label_smoothing: float = 0.0,
    seed: int = 0,
) -> layout.StochasticRegularization:
    """Pack the random perturbations of a training for the kernels.

    Parameters
    ----------
    images : Images or None
        None distorts nothing.
    dtype : dtype
        Of the network.
    input_scale : float, default 1
        What the inputs have been multiplied by when they are distorted.
    n_rows : int, default 1
        Rows of a block, each of which has scratch of its own.
    dropout, input_noise, label_smoothing, seed
        As the kernels take them.
    """
    empty = np.empty(0, dtype)
    packed = layout.StochasticRegularization(
        int(dropout), empty, 0, 0, 0, input_noise, label_smoothing, seed,
        0, 0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0, 0.0, 0.0, empty, empty, 0,
    )  # fmt: skip
    if images is None:
        return packed
    ld, ld_transposed = (-(-size // FIELD_ALIGNMENT) * FIELD_ALIGNMENT for size in (images.width, images.height))
    field_size = max(images.height * ld, images.width * ld_transposed)
    size = 5 * field_size + (images.height + 3) * (images.width + 3)
    size = -(-size // FIELD_ALIGNMENT) * FIELD_ALIGNMENT
    return packed._replace(
        image_height=images.height,
        image_width=images.width,
        field_ld=ld,
        field_ld_transposed=ld_transposed,
        shift=images.shift,
        rotation=images.rotation,
        scale=images.scale,
        shear=images.shear,
        flip=int(images.horizontal_flip),
        elastic_alpha=images.elastic_alpha,
        background=images.background * input_scale,
        taps=gaussian_taps(images.elastic_sigma).astype(dtype) if images.elastic_alpha else empty,
        image_scratch=np.zeros(n_rows * size, dtype),
        image_scratch_size=size,
    )
