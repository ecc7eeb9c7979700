"""The processor for which code is generated."""

import pytest

from fastnn.kernels import simd, target
from fastnn.kernels.target import Target


@pytest.mark.parametrize(
    ("machine", "features", "expected"),
    [
        ("x86_64", "+avx512f,+avx2,+avx,+fma", Target("avx512", 64, 32, True)),
        ("AMD64", "-avx512f,+avx2,+avx,+fma", Target("avx2", 32, 16, True)),
        ("x86_64", "+avx", Target("avx", 32, 16, False)),
        ("x86_64", "", Target("baseline", 16, 16, False)),
        ("x86_64", "-avx,+fma", Target("baseline", 16, 16, True)),
        ("aarch64", "", Target("neon", 16, 32, True)),
        ("arm64", "+neon", Target("neon", 16, 32, True)),
    ],
)
def test_vectors_follow_the_features(machine, features, expected):
    assert target.detect(machine, target.features_of(features)) == expected


def test_lanes_are_the_numbers_of_a_register():
    avx2 = Target("avx2", 32, 16, True)
    assert (avx2.lanes(4), avx2.lanes(8)) == (8, 4)


def test_numbas_settings_are_respected(monkeypatch):
    monkeypatch.setattr(target.config, "CPU_FEATURES", "+avx,-fma")
    assert target.host_features() == {"avx": True, "fma": False}
    monkeypatch.setattr(target.config, "CPU_FEATURES", None)
    monkeypatch.setattr(target.config, "CPU_NAME", "generic")
    assert target.host_features() == {}
    monkeypatch.setattr(target.config, "CPU_NAME", None)
    assert target.host_features() == dict(target.llvm.get_host_cpu_features())


@pytest.mark.parametrize(("registers", "shape"), [(16, (6, 2)), (32, (8, 3))])
def test_a_tile_and_what_it_reads_fit_the_registers(registers, shape):
    rows, vectors = simd.tile_shape(registers)
    assert (rows, vectors) == shape
    assert rows * vectors + vectors + 1 <= registers
