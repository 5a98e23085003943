"""The generator with TensorFlow, all variants of the noise floor included: it makes the committed goldens again."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from golden.generate import FIXTURES, main
from golden.generator.worker import VARIANTS
from golden.store.golden import golden_path
from golden.store.read import read_golden

CASES = ("probe/normalise_n16_scale4", "reassembly/m20_subpixel", "defaults/optimizer")


def test_it_makes_the_committed_goldens_again(tmp_path: Path) -> None:
    arguments = ["--fixtures", str(tmp_path), "--update", "--reason", "again", *CASES]
    run = CliRunner().invoke(main, arguments)
    assert run.exit_code == 0, run.output
    for name in CASES:
        made, committed = read_golden(golden_path(tmp_path, name)), read_golden(golden_path(FIXTURES, name))
        assert made.definition == committed.definition
        assert {key: array.tobytes() for key, array in made.inputs.items()} == {
            key: array.tobytes() for key, array in committed.inputs.items()
        }
        for output in committed.outputs:
            assert set(made.noise[output]) == set(committed.noise[output])
    noise = read_golden(golden_path(tmp_path, CASES[1])).noise["mosaic"]
    assert {"float64", *VARIANTS, "1 ULP, run 4"} <= set(noise)
    assert noise["float64"] > 0
    assert noise["1 ULP, run 1"] > 0
