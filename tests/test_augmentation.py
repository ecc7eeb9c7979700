"""Distorted images: the kernel against the NumPy specification, that against scipy.ndimage, and trainings."""

import math

import numpy as np
import pytest
import scipy.ndimage

import fastnn
from fastnn.augmentation import Images, pack_perturbations
from fastnn.kernels.image_distortion import AFFINE_DRAWS, DISTORTION_STREAM, FIELD_UNIT, distort_images
from fastnn.kernels.intrinsics import _random_below as random_below
from fastnn.kernels.layout import DROP_UNIT
from fastnn.kernels.stochastic_regularization import STREAMS
from fastnn.reference import distort_image, read_bilinear, smooth_field

H, W = 9, 12
EVERYTHING = Images(
    height=H, width=W, shift=1.5, rotation=20, scale=0.3, shear=10, elastic_alpha=8, elastic_sigma=2,
    horizontal_flip=True, background=0.25,
)  # fmt: skip


def images_of(n, height=H, width=W, dtype="float64"):
    return np.random.default_rng(0).random((n, height * width)).astype(dtype)


def expected(image, images, seed, epoch, position):
    """Distort one image in plain NumPy, from the numbers that the kernel draws."""
    stream, start = epoch * STREAMS + DISTORTION_STREAM, position * (AFFINE_DRAWS + images.n_pixels)

    def drawn(index, limit):
        return limit * (2 * random_below(seed, stream, start + index, DROP_UNIT) / DROP_UNIT - 1)

    shift = np.array([drawn(0, images.shift), drawn(1, images.shift)])
    angle, shear = math.radians(drawn(2, images.rotation)), math.tan(math.radians(drawn(3, images.shear)))
    inverse = np.array([1 / (1 + drawn(4, images.scale)), 1 / (1 + drawn(5, images.scale))])
    if images.horizontal_flip and random_below(seed, stream, start + 6, 2):
        inverse[1] *= -1
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix = rotation @ np.array([[1, shear], [0, 1]]) @ np.diag(inverse)
    bits = [random_below(seed, stream, start + AFFINE_DRAWS + i, FIELD_UNIT**2) for i in range(images.n_pixels)]
    noise = np.array([np.divmod(np.array(bits), FIELD_UNIT)]).reshape(2, images.height, images.width)
    noise = noise * (2 / FIELD_UNIT) - 1
    displacement = [images.elastic_alpha * smooth_field(part, images.elastic_sigma) for part in noise]
    return distort_image(
        image.reshape(images.height, images.width), matrix, shift, np.array(displacement), images.background
    ).ravel()


@pytest.mark.parametrize("sigma", [0.4, 1.0, 4.0])
def test_the_smoothed_field_is_scipys(sigma):
    field = np.random.default_rng(1).uniform(-1, 1, (29, 23))
    smoothed = scipy.ndimage.gaussian_filter(field, sigma, mode="constant", truncate=4)
    np.testing.assert_allclose(smooth_field(field, sigma), smoothed, atol=1e-14)


def test_the_interpolation_is_scipys_inside_at_the_edge_and_outside():
    rng = np.random.default_rng(2)
    image, at = rng.random((H, W)), rng.uniform(-4, max(H, W) + 4, (2, 500))
    at[:, :4] = [[0, 0, H - 1, -1], [0, W - 1, W - 1, W]]
    read = scipy.ndimage.map_coordinates(image, at, order=1, mode="grid-constant", cval=0.5)
    np.testing.assert_allclose(read_bilinear(image, *at, background=0.5), read, atol=1e-14)


@pytest.mark.parametrize(
    "images",
    [
        EVERYTHING,
        Images(height=H, width=W, elastic_alpha=20, elastic_sigma=4),
        Images(height=H, width=W, shift=3),
        Images(height=H, width=W, rotation=90),
        Images(height=1, width=H * W, shift=2),
        Images(height=H * W, width=1, elastic_alpha=3, elastic_sigma=0.3),
        Images(height=H, width=W, horizontal_flip=True),
    ],
    ids=repr,
)
def test_the_kernel_computes_the_specification(images):
    source = images_of(4)
    out, settings = source.copy(), pack_perturbations(images, "float64", seed=7)
    distort_images(out.reshape(-1), settings, 3, 4)
    twin = [expected(image, images, 7, 3, position) for position, image in enumerate(source)]
    np.testing.assert_allclose(out, twin, atol=1e-12)


def test_float32_is_within_the_rounding_of_its_coordinates():
    exact = images_of(4)
    distort_images(exact.reshape(-1), pack_perturbations(EVERYTHING, "float64", seed=7), 3, 4)
    # coordinates of up to 12 pixels are exact to 12 * 2^-23; neighbouring pixels differ by up to 1
    np.testing.assert_allclose(EVERYTHING.apply(images_of(4), seed=7, epoch=3), exact, atol=3e-5)


def test_a_shift_of_whole_pixels_by_hand():
    image = np.arange(6.0).reshape(2, 3)
    moved = distort_image(image, np.eye(2), np.array([0, 1]), np.zeros((2, 2, 3)), background=9)
    assert moved.tolist() == [[1, 2, 9], [4, 5, 9]]


def test_no_limit_changes_nothing():
    X = images_of(3, dtype="float32")
    np.testing.assert_array_equal(Images(height=H, width=W).apply(X), X)


def test_half_of_the_images_are_mirrored():
    X = images_of(400, dtype="float32")
    flipped = Images(height=H, width=W, horizontal_flip=True).apply(X)
    mirrored = X.reshape(-1, H, W)[:, :, ::-1].reshape(X.shape)
    same, other = (flipped == X).all(1), np.isclose(flipped, mirrored, atol=1e-6).all(1)
    assert (same ^ other).all()
    assert 160 < other.sum() < 240  # 200 expected, standard deviation 10


def test_every_epoch_and_every_position_has_a_distortion_of_its_own():
    X = np.repeat(images_of(1, dtype="float32"), 3, axis=0)
    first, second = EVERYTHING.apply(X), EVERYTHING.apply(X, epoch=1)
    assert len({row.tobytes() for row in (*first, *second)}) == 6
    np.testing.assert_array_equal(first, EVERYTHING.apply(X))


def network(**options):
    return fastnn.Network([H * W, 8, 3], activation=["tanh", "softmax"], loss="cross_entropy", seed=3, **options)


def fit(net, X, **options):
    y = np.arange(X.shape[0]) % 3
    given = {"epochs": 2, "batch_size": 8, "learning_rate": 0.1, "augmentation": EVERYTHING}
    return net.fit(X, y, **given | options)


def test_a_training_sees_the_images_that_the_specification_distorts():
    X = images_of(8)
    net, plain = network(dtype="float64"), network(dtype="float64")
    fit(net, X, epochs=1, shuffle=False)
    seed = fastnn.training.update_rule.make_stochastic_regularization(
        net.engine.spec, fastnn.training.update_rule.Regularization(), net.seed, 1
    ).seed
    distorted = np.array([expected(image, EVERYTHING, seed, 0, position) for position, image in enumerate(X)])
    fit(plain, distorted, epochs=1, shuffle=False, augmentation=None)
    np.testing.assert_allclose(net.parameters, plain.parameters, atol=1e-12)


def test_bytes_are_distorted_after_their_scaling():
    X = (images_of(24) * 255).astype("uint8")
    images = fastnn.augmentation.Images(height=H, width=W, shift=2, background=51)
    of_bytes, of_numbers = network(input_scale=1 / 255, dtype="float64"), network(dtype="float64")
    fit(of_bytes, X, augmentation=images)
    scaled = fastnn.augmentation.Images(height=H, width=W, shift=2, background=0.2)
    fit(of_numbers, X * (1 / 255), augmentation=scaled)
    np.testing.assert_allclose(of_bytes.parameters, of_numbers.parameters, atol=1e-12)


def test_validation_data_are_not_distorted():
    X, y = images_of(24), np.arange(24) % 3
    net = network()
    history = fit(net, X, epochs=1, validation_data=(X, y))
    assert history["val_loss"][-1] == pytest.approx(net.loss(X, y), rel=1e-6)


def test_two_fits_of_one_epoch_are_one_of_two():
    X, once, twice = images_of(24), network(), network()
    fit(once, X, epochs=2)
    fit(twice, X, epochs=1)
    fit(twice, X, epochs=1)
    np.testing.assert_array_equal(once.parameters, twice.parameters)


def test_a_resumed_training_has_the_bits_of_one_that_was_not_interrupted(tmp_path):
    X, whole, parts = images_of(24), network(), network()
    fit(whole, X, epochs=3)
    fit(parts, X, epochs=1, checkpoint=tmp_path)
    resumed = network()
    fit(resumed, X, epochs=3, checkpoint=tmp_path, resume=True)
    np.testing.assert_array_equal(resumed.parameters, whole.parameters)


def test_networks_of_a_population_have_the_bits_of_their_own_fit():
    X, y = images_of(24), np.arange(24) % 3
    architecture = {"sizes": [H * W, 8, 3], "activation": ["tanh", "softmax"], "loss": "cross_entropy"}
    options = {"epochs": 2, "batch_size": 8, "learning_rate": 0.1, "augmentation": EVERYTHING}
    population = fastnn.fit_many([{"seed": 3}, {"seed": 4}], X, y, **architecture, **options)
    alone = network()
    alone.fit(X, y, **options)
    np.testing.assert_array_equal(population.networks[0].parameters, alone.parameters)


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"height": 0}, ValueError, "height must be"),
        ({"width": 2.5}, TypeError, "width must be"),
        ({"shift": -1}, ValueError, "shift must be"),
        ({"rotation": np.nan}, ValueError, "rotation must be"),
        ({"scale": 1}, ValueError, "scale must be below 1"),
        ({"shear": 90}, ValueError, "shear must be below 90"),
        ({"elastic_alpha": "34"}, TypeError, "elastic_alpha must be"),
        ({"elastic_alpha": 34, "elastic_sigma": 0}, ValueError, "elastic_sigma must be above 0"),
        ({"horizontal_flip": 1}, TypeError, "horizontal_flip must be"),
        ({"background": np.inf}, ValueError, "background must be"),
    ],
)
def test_bad_settings_are_named(given, error, said):
    with pytest.raises(error, match=said):
        Images(**{"height": H, "width": W} | given)


def test_images_of_another_size_than_the_inputs_are_refused():
    with pytest.raises(ValueError, match="9 x 9 = 81 pixels, but the network has 108 inputs"):
        fit(network(), images_of(4), augmentation=Images(height=9, width=9))
    with pytest.raises(TypeError, match="augmentation must be a "):
        fit(network(), images_of(4), augmentation="elastic")


def test_sparse_rows_and_lbfgs_refuse_augmentation():
    with pytest.raises(ValueError, match="no augmentation; got augmentation"):
        fit(network(), scipy.sparse.csr_array(images_of(4)))
    with pytest.raises(ValueError, match=r"'lbfgs' .* got .*augmentation"):
        fit(network(), images_of(4), optimizer="lbfgs", learning_rate=None, batch_size=None)


@pytest.mark.parametrize("X", [np.zeros((2, 5)), np.full((1, H * W), np.nan)])
def test_what_is_no_image_is_refused(X):
    with pytest.raises(ValueError, match="X must"):
        EVERYTHING.apply(X)
