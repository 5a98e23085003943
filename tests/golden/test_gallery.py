"""The gallery: what is drawn, and that a picture is redrawn only if its values moved."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from golden.generator.regenerate import renewed_picture
from golden.report import thumbnail
from golden.store import gallery
from golden.store.update import is_under_way, lock, update
from tests.golden.standin import CASES, make_golden


def drawn(path: Path, **outputs: np.ndarray) -> np.ndarray:
    thumbnail.draw(make_golden(CASES[0], outputs=outputs, where={}, faults={}), path)
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def test_one_changed_pixel_shows(tmp_path: Path) -> None:
    image = np.linspace(0, 1, 64).reshape(8, 8)
    other = image.copy()
    other[2, 3] = 0.9
    before, after = drawn(tmp_path / "a.png", y=image), drawn(tmp_path / "b.png", y=other)
    captions = 8 + 14  # rows of the captions, which contain the digest
    rows, columns = np.nonzero(np.abs(after - before).max(axis=2)[captions:] > 20)
    assert len(rows) == 20 * 20  # one pixel, enlarged
    assert (np.ptp(rows), np.ptp(columns)) == (19, 19)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((5, 6), np.complex64),
        np.full((5, 6), np.nan),
        np.full((5, 6), 3e38, np.float32),
        np.eye(5, dtype=bool),
        np.arange(7 * 900 * 5).reshape(7, 900, 5, 1),
    ],
)
def test_every_picture_can_be_drawn(tmp_path: Path, image: np.ndarray) -> None:
    assert drawn(tmp_path / "a.png", y=image).shape[0] < 400


def test_the_same_values_are_not_drawn_again(fixtures: Path) -> None:
    golden = make_golden(CASES[0])
    entry = gallery.picture_entry(golden, gallery.picture_path(fixtures, golden.case))
    with lock(fixtures), update(fixtures) as change:
        assert renewed_picture(golden, entry, fixtures, change) == entry
        assert not is_under_way(fixtures)
    with pytest.raises(KeyboardInterrupt), lock(fixtures), update(fixtures) as change:
        moved = make_golden(CASES[0], outputs={"y": golden.outputs["y"] * 2})
        assert renewed_picture(moved, entry, fixtures, change) != entry
        assert is_under_way(fixtures)
        raise KeyboardInterrupt  # its entry is not staged


@pytest.mark.parametrize("shape", [(320, 320), (12, 12, 9)])
def test_a_change_in_pixels_that_are_not_shown_changes_the_caption(tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = np.zeros(shape, np.float32)
    before = drawn(tmp_path / "a.png", y=array)
    array[(1, 1, 8)[: len(shape)]] = 0.001
    array[(0, 0, 0)[: len(shape)]] = 0
    assert (drawn(tmp_path / "b.png", y=array) != before).any()


def test_a_file_of_settings_that_matplotlib_does_not_understand(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_bytes(b"font.family: \xe9\xff\nimage.lut 3\n")
    code = "import os; from golden.report.colours import colormap; print(colormap('gray').N, os.getcwd())"
    environment = os.environ | {"MPLBACKEND": "none"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert (done.stdout.split(), done.stderr) == (["256", str(tmp_path.resolve())], "")
