"""The embedded data set has its documented properties, and cannot change unnoticed."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from golden.ptychopinn.simulation import embedded
from golden.ptychopinn.simulation.formulas import cut
from golden.spec.errors import GoldenError


def nearest_distances() -> np.ndarray:
    positions = embedded.embedded("positions")
    distance = np.hypot(*(positions[:, None] - positions).T)
    np.fill_diagonal(distance, np.inf)
    return distance.min(axis=0)


def shared_light(shift: float) -> float:
    """Return the part of the probe's light that two positions share if they are ``shift`` pixels apart along x."""
    probe = np.abs(embedded.embedded("probe")).astype(np.complex128)
    moved = cut(probe, np.array([[32 + shift, 32.0]]), 64)[0].real
    return float((moved * probe.real).sum() / np.square(probe.real).sum())


def test_every_position_overlaps_with_its_neighbour_by_more_than_70_percent() -> None:
    intensity = np.square(np.abs(embedded.embedded("probe"), dtype=np.float64))
    diameter = 2 * np.sqrt(intensity.sum() ** 2 / np.square(intensity).sum() / np.pi)
    nearest = nearest_distances()
    assert nearest.min() > 1
    assert 1 - nearest.max() / diameter > 0.7
    assert shared_light(nearest.max()) > 0.7


def test_the_scan_is_irregular_and_wider_than_tall() -> None:
    positions = embedded.embedded("positions")
    assert positions.shape == (embedded.PATTERNS, 2) == (1087, 2)
    assert len(np.unique(positions, axis=0)) == len(positions)
    assert np.unique(positions % 1).tolist() == [k / 8 for k in range(8)]
    assert np.unique(np.round(nearest_distances(), 2)).size > 20
    width, height = np.ptp(positions, axis=0)
    assert width > 1.2 * height
    corner = positions - 32
    assert (corner >= 0).all()
    assert (corner + 64 < [embedded.WIDTH, embedded.HEIGHT]).all()


def test_object_and_probe_have_no_symmetry() -> None:
    target, probe = embedded.embedded("object"), embedded.embedded("probe")
    assert (target.shape, probe.shape) == ((embedded.HEIGHT, embedded.WIDTH), (64, 64))
    assert np.abs(target).max() <= 1
    for turned in (probe.T, probe[::-1, :], probe[:, ::-1], probe[::-1, ::-1], probe.conj()):
        likeness = np.abs(np.vdot(turned, probe)) / np.square(np.abs(probe)).sum()
        assert likeness < 0.95
    wide = np.square(np.abs(probe)) > 0.01 * np.square(np.abs(probe)).max()
    steps = np.abs(np.diff(np.unwrap(np.angle(probe[32, wide[32]]))))
    assert steps.max() > 0.3, "its phase is curved"


def test_the_file_holds_what_was_drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with zipfile.ZipFile(embedded.FILE) as archive:
        assert sorted(archive.namelist()) == sorted(f"{name}.npy" for name in embedded.DIGESTS)
    assert not embedded.embedded("probe").flags.writeable
    np.savez(tmp_path / "other.npz", probe=np.ones((64, 64), np.complex64))
    monkeypatch.setattr(embedded, "FILE", tmp_path / "other.npz")
    with pytest.raises(GoldenError, match=r"other\.npz: 'probe' does not match its digest; restore it"):
        embedded.embedded("probe")
    with pytest.raises(GoldenError, match=r"other\.npz: cannot be read"):
        embedded.embedded("counts_00")
