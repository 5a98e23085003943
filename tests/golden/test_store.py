"""Goldens on disk: exact round trips, and one clear error for everything that is not a sound golden."""

from __future__ import annotations

import dataclasses
import json
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from golden.judge.compare import EXACT
from golden.judge.proof import Caught, Wrong
from golden.spec.errors import GoldenError
from golden.store.golden import Golden, golden_path
from golden.store.read import read_golden, read_outputs
from golden.store.write import write_golden, write_outputs
from tests.golden.corruptions import seal
from tests.golden.standin import CASES, make_golden

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "double.h5"
    write_golden(file, make_golden(CASES[0]))
    return file


def assert_same(found: Golden, expected: Golden) -> None:
    for field in dataclasses.fields(Golden):
        a, b = getattr(found, field.name), getattr(expected, field.name)
        if field.name in ("inputs", "outputs", "where"):
            assert set(a) == set(b)
            for name in a:
                assert a[name].dtype == b[name].dtype
                np.testing.assert_array_equal(a[name], b[name])
        elif field.name == "faults":
            assert list(a) == sorted(b)
            for name in a:
                assert a[name].symptom == b[name].symptom
                assert set(a[name].outputs) == set(b[name].outputs)
                for output, wrong in a[name].outputs.items():
                    np.testing.assert_equal(dataclasses.asdict(wrong), dataclasses.asdict(b[name].outputs[output]))
        else:
            assert a == b, field.name


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_round_trip(tmp_path: Path, case) -> None:
    golden = make_golden(case)
    write_golden(tmp_path / "a.h5", golden)
    assert_same(read_golden(tmp_path / "a.h5"), golden)


def test_every_dtype_round_trips(tmp_path: Path) -> None:
    arrays = {
        np.dtype(kind).name: (np.arange(2000) % 7).astype(kind).reshape(40, 50)
        for kind in ("bool", "u1", "i4", "i8", "f4", "f8", "c8", "c16")
    }
    arrays |= {"text": np.array([b"a", b"null", b""]), "one_text": np.array(b"4.0"), "scalar": np.array(3)}
    arrays |= {"empty": np.zeros((0, 3), np.float32), "special": np.array([np.nan, np.inf, -0.0])}
    write_outputs(tmp_path / "a.h5", arrays)
    found = read_outputs(tmp_path / "a.h5")
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype, name
        assert found[name].tobytes() == array.tobytes(), name


def test_the_same_golden_gives_the_same_bytes(tmp_path: Path, path: Path) -> None:
    write_golden(tmp_path / "again.h5", make_golden(CASES[0]))
    assert (tmp_path / "again.h5").read_bytes() == path.read_bytes()


def test_content_digest_sees_everything_but_provenance() -> None:
    golden = make_golden(CASES[0])
    same = dataclasses.replace(golden, provenance={"tensorflow": "another"})
    assert same.content_digest() == golden.content_digest()
    y = golden.outputs["y"].copy()
    y[0, 0] = np.nextafter(y[0, 0].real, np.float32(9)) + 1j * y[0, 0].imag
    for change in (
        {"outputs": golden.outputs | {"y": y}},
        {"inputs": {"x": y}},
        {"where": {"y": ~golden.where["y"]}},
        {"parameters": {"factor": 2}},
        {"tolerances": golden.tolerances | {"y": EXACT}},
        {"definition": "other"},
    ):
        assert dataclasses.replace(golden, **change).content_digest() != golden.content_digest(), change


# ------------------------------------------------------------------------------------------- what is refused


def edit_table(path: Path, change: Callable[[dict], object]) -> None:
    """Change ``/proof/table``, and update its digest."""
    with h5py.File(path, "r+") as file:
        table = json.loads(file["proof/table"][0])
        change(table)
        text = np.array([json.dumps(table).encode()])
        del file["proof/table"]
        file["proof/table"] = text
        seal(file["proof/table"], text)


def _missing(path: Path) -> None:
    path.unlink()


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def _half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _text(path: Path) -> None:
    path.write_text("no golden")


def _lfs_pointer(path: Path) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 12\n")


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _older_format(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:8] + b"\0" + data[9:])


def _inflates_to_more(path: Path) -> None:
    _packed(path, zlib.compress(bytes(2**15)))


def _inflates_to_less(path: Path) -> None:
    _packed(path, zlib.compress(bytes(8)))


def _more_behind_the_stream(path: Path) -> None:
    _packed(path, zlib.compress(bytes(3 * 8)) + b"more")


def _packed(path: Path, stored: bytes) -> None:
    with h5py.File(path, "r+") as file:
        dataset = file.create_dataset("inputs/p", (3,), "i8", chunks=(3,), compression=6, shuffle=True)
        dataset.id.write_direct_chunk((0,), stored)
        seal(dataset, np.zeros(3, "i8"))


def _noise_of_texts(path: Path) -> None:
    edit_table(path, lambda table: table["noise"]["y"]["runs"].update(float64="little"))


def _negative_noise(path: Path) -> None:
    edit_table(path, lambda table: table["noise"]["y"].update(atol=-1e-6))


def _noise_of_no_output(path: Path) -> None:
    edit_table(path, lambda table: table["noise"].update(z={"runs": {}}))


def _changed_value(file: h5py.File) -> None:
    file["outputs/y"][0, 0] = 7


def _no_digest(file: h5py.File) -> None:
    del file["outputs/y"].attrs["sha256"]


def _external_link(file: h5py.File) -> None:
    file["outputs/passwd"] = h5py.ExternalLink("/etc/passwd", "/")


def _soft_link(file: h5py.File) -> None:
    file["outputs/again"] = h5py.SoftLink("/outputs/y")


def _second_name(file: h5py.File) -> None:
    file["outputs/again"] = file["outputs/y"]


def _cycle(file: h5py.File) -> None:
    file["where/loop"] = file["where"]


def _virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((3,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", shape=(3,))
    file.create_virtual_dataset("outputs/v", layout)


def _external_storage(file: h5py.File) -> None:
    file.create_dataset("outputs/e", (4,), "u1", external=[("/etc/hostname", 0, 4)])


def _variable_text(file: h5py.File) -> None:
    file.attrs["summary"] = "variable length"


def _other_compound(file: h5py.File) -> None:
    file["outputs/c"] = np.zeros(3, [("a", "f4"), ("b", "f4")])


def _huge(file: h5py.File) -> None:
    file.create_dataset("outputs/huge", (2**40,), "f8", chunks=(2**10,))


def _unknown_group(file: h5py.File) -> None:
    file.create_group("extra")


def _impossible_tolerance(file: h5py.File) -> None:
    file["outputs/y"].attrs["rtol"] = np.inf


def _other_format(file: h5py.File) -> None:
    file.attrs["format"] = np.bytes_(b"ptycho-golden 99")


def _other_picture(file: h5py.File) -> None:
    picture = file["picture/y"]
    picture[0, 0] = np.nextafter(picture[0, 0].real, np.float32(9))


def _made_by_torch(file: h5py.File) -> None:
    file.attrs["producer"] = np.bytes_(b"torch")


def _several_chunks(file: h5py.File) -> None:
    file.create_dataset("inputs/p", (4,), "i8", chunks=(2,), compression=6, shuffle=True)


def _other_filter(file: h5py.File) -> None:
    file.create_dataset("inputs/p", (4,), "i8", chunks=(4,), compression="lzf")


def _many_attributes(file: h5py.File) -> None:
    for number in range(100):
        file["inputs/x"].attrs[f"a{number}"] = number


def _name_for_a_terminal(file: h5py.File) -> None:
    file["inputs/\x1b[31m"] = np.zeros(3)


def _text_for_a_terminal(file: h5py.File) -> None:
    file.attrs["summary"] = np.bytes_(b"\x1b[31m")


def _escaped_for_a_terminal(file: h5py.File) -> None:
    file.attrs["parameters"] = np.bytes_(json.dumps({"factor": ["\x1b[31m"]}).encode())


def _key_twice(file: h5py.File) -> None:
    file.attrs["parameters"] = np.bytes_(b'{"factor": 2.0, "factor": 3.0}')


def _nested_deeply(file: h5py.File) -> None:
    file.attrs["parameters"] = np.bytes_(b"[" * 60000)


def _half_a_tolerance(file: h5py.File) -> None:
    del file["outputs/y"].attrs["rtol"]


def _tolerance_of_several_numbers(file: h5py.File) -> None:
    file["outputs/y"].attrs["atol"] = np.zeros(2)


def _another_readme(file: h5py.File) -> None:
    file.attrs["README"] = np.bytes_(b"Nothing of this is checked.")


def _too_few_axes(file: h5py.File) -> None:
    file["outputs/y"].attrs["axis_names"] = np.bytes_(b"row")


def _unit_for_a_terminal(file: h5py.File) -> None:
    file["inputs/x"].attrs["units"] = np.bytes_(b"\x1b[31m")


def _attribute_without_value(file: h5py.File) -> None:
    file.attrs["summary"] = h5py.Empty("S10")


def _large_attribute(file: h5py.File) -> None:
    file.attrs["summary"] = np.bytes_(b"a" * (2**16 + 1))


def _dataset_without_space(file: h5py.File) -> None:
    file["outputs/e"] = h5py.Empty("f4")


def _no_table(file: h5py.File) -> None:
    del file["proof/table"]


DAMAGE: dict[Callable[[Path], None], str] = {
    _missing: "no such file",
    _empty: "the file is empty",
    _truncated: "damaged",
    _half: "damaged",
    _text: "not an HDF5 file",
    _lfs_pointer: "git lfs pull",
    _directory: "expected a file, found a directory",
    _older_format: "not of the version that goldens use",
    _inflates_to_more: "/inputs/p does not inflate to the 24 bytes that it declares",
    _inflates_to_less: "/inputs/p does not inflate to the 24 bytes that it declares",
    _more_behind_the_stream: "/inputs/p does not inflate to the 24 bytes that it declares",
    _noise_of_texts: "the noise of 'y' is not a table of numbers",
    _negative_noise: "/outputs/y has an impossible tolerance or noise",
    _noise_of_no_output: "its noise names outputs that it does not have",
}
CONTENTS: dict[Callable[[h5py.File], None], str] = {
    _changed_value: "/outputs/y does not match its SHA-256",
    _no_digest: "/outputs/y lacks the attribute 'sha256'",
    _external_link: "/outputs/passwd is a link to elsewhere",
    _soft_link: "/outputs/again is a link to elsewhere",
    _second_name: "is a second name of another object",
    _cycle: "is not a dataset",
    _virtual: "keeps its data in another file",
    _external_storage: "keeps its data in another file",
    _variable_text: "has a type that a golden never has",
    _other_compound: "has a type that a golden never has",
    _huge: "at most 536870912 are accepted",
    _unknown_group: "unknown objects",
    _impossible_tolerance: "/outputs/y has an impossible tolerance or noise",
    _other_format: "expected format 'ptycho-golden 5' or 'ptycho-golden 4', found 'ptycho-golden 99'",
    _another_readme: "its README is not the one of its format",
    _too_few_axes: "/outputs/y has the axes 'row', but an array of shape (4, 5)",
    _unit_for_a_terminal: "'units' of /inputs/x is not a printable text",
    _other_picture: "its picture does not match its main output",
    _made_by_torch: "must be produced by TensorFlow",
    _several_chunks: "/inputs/p is not one chunk, shuffled and deflated",
    _other_filter: "/inputs/p is not one chunk, shuffled and deflated",
    _many_attributes: "at most 64 are accepted",
    _name_for_a_terminal: "with the unprintable name b'\\x1b[31m'",
    _text_for_a_terminal: "'summary' of / is not a printable text",
    _escaped_for_a_terminal: "is not a JSON object of printable texts",
    _key_twice: "appears twice",
    _nested_deeply: "nested too deeply",
    _half_a_tolerance: "/outputs/y lacks the attribute 'rtol'",
    _tolerance_of_several_numbers: "/outputs/y: atol and rtol must each be one float64 number",
    _attribute_without_value: "attribute 'summary' has no value",
    _large_attribute: "attribute 'summary' is larger than 64 KiB",
    _dataset_without_space: "/outputs/e has no data space",
    _no_table: "it has no table of faults",
}


def require_refused(path: Path, because: str) -> None:
    with pytest.raises(GoldenError) as caught:
        read_golden(path)
    message = str(caught.value)
    assert str(path) in message
    assert because in message


def name_of(change: Callable) -> str:
    return change.__name__.strip("_")


@pytest.mark.parametrize("damage", DAMAGE, ids=name_of)
def test_files_that_are_not_goldens_are_refused(path: Path, damage: Callable[[Path], None]) -> None:
    damage(path)
    require_refused(path, DAMAGE[damage])


@pytest.mark.parametrize("change", CONTENTS, ids=name_of)
def test_contents_that_a_golden_never_has_are_refused(path: Path, change: Callable[[h5py.File], None]) -> None:
    with h5py.File(path, "r+") as file:
        change(file)
    require_refused(path, CONTENTS[change])


def test_no_flipped_bit_is_silent(path: Path) -> None:
    """A flipped bit is refused, or does not change the golden's content."""
    sound = path.read_bytes()
    digest = read_golden(path).content_digest()
    rng = np.random.RandomState(0)
    refused = 0
    for position in rng.randint(0, len(sound), 100):
        damaged = bytearray(sound)
        damaged[position] ^= 1 << rng.randint(8)
        path.write_bytes(damaged)
        try:
            found = read_golden(path).content_digest()
        except GoldenError:
            refused += 1
        else:
            assert found == digest, f"byte {position}"
    assert refused > 30


def test_viewers_find_the_main_output_as_an_image(path: Path) -> None:
    with h5py.File(path) as file:
        group = file[file.attrs["default"].decode()]
        signal = group[group.attrs["signal"].decode()]
        assert group.attrs["NX_class"] == b"NXdata"
        assert signal.name == "/picture/y"
        np.testing.assert_allclose(signal, file["outputs/y"], rtol=0.01)


@pytest.mark.parametrize("kind", ["f4", "f8", "c8", "c16"])
def test_a_picture_keeps_six_bits_beside_the_leading_one(tmp_path: Path, kind: str) -> None:
    values = np.random.RandomState(0).randn(10, 12, 2) * [1e-9, 1e9]
    values[:2, :2] = [0, -0.0], [1e38, 1.5]
    outputs = {"z": values.astype(kind) * (1 - 2j if kind[0] == "c" else 1)}
    golden = make_golden(CASES[0], outputs=outputs, where={}, faults={}, tolerances={"z": EXACT}, noise={})
    write_golden(tmp_path / "a.h5", golden)
    np.testing.assert_array_equal(read_golden(tmp_path / "a.h5").outputs["z"], outputs["z"])
    with h5py.File(tmp_path / "a.h5") as file:
        picture = file["picture/z"][()]
    mantissas = np.frexp(picture.view(picture.real.dtype))[0] * 2**7
    assert (mantissas == np.round(mantissas)).all()
    right = np.moveaxis(outputs["z"], 2, 0)
    for part in ("real", "imag"):
        np.testing.assert_allclose(getattr(picture, part), getattr(right, part), rtol=2**-7)


def test_faults_of_every_dtype_round_trip(tmp_path: Path) -> None:
    outputs = {"y": np.arange(20, dtype=np.float32).reshape(4, 5) * (1 + 2j), "z": np.array(b"four")}
    wrong = {
        "bool": {"y": np.ones((2, 3), bool)},
        "complex64": {"y": outputs["y"] * np.complex64(1j)},
        "float64": {"y": np.linspace(0, 1, 20)},
        "longer": {"z": np.array([b"seventeen", b""])},
        "shorter": {"z": np.array(b"4"), "y": np.arange(7)},
    }
    faults = {
        name: Caught(
            name,
            {
                o: Wrong(a.shape, a.dtype.str, 9, 9, np.arange(a.size), a.reshape(-1), 0j + np.zeros(2))
                for o, a in arrays.items()
            },
        )
        for name, arrays in wrong.items()
    }
    golden = make_golden(CASES[0], outputs=outputs, where={}, faults=faults, tolerances=dict.fromkeys(outputs, EXACT))
    golden = dataclasses.replace(golden, noise={name: {} for name in outputs})
    write_golden(tmp_path / "a.h5", golden)
    assert_same(read_golden(tmp_path / "a.h5"), golden)


@pytest.mark.parametrize(
    ("outputs", "group", "shape"),
    [
        ({"n": np.zeros((5, 6, 2)), "z": np.ones((5, 6, 1), np.complex64)}, "picture", (5, 6)),
        ({"z": np.arange(240.0).reshape(2, 10, 4, 3)}, "picture", (6, 10, 4)),
        ({"z": np.ones((9, 8), bool)}, "picture", (9, 8)),
        ({"z": np.ones((3, 1, 2, 4))}, "outputs", (3, 1, 2, 4)),
    ],
)
def test_viewers_find_images_where_there_are_any(
    tmp_path: Path, outputs: dict[str, np.ndarray], group: str, shape: tuple[int, ...]
) -> None:
    tolerances = dict.fromkeys(outputs, EXACT)
    golden = make_golden(CASES[0], outputs=outputs, where={}, faults={}, tolerances=tolerances, noise={})
    write_golden(tmp_path / "a.h5", golden)
    assert set(read_golden(tmp_path / "a.h5").outputs) == set(outputs)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file.attrs["default"].decode() == group
        assert file[group].attrs["signal"] == b"z"
        assert file[group]["z"].shape == shape


def test_texts_have_no_picture(tmp_path: Path) -> None:
    outputs = {"z": np.array(b"4.0")}
    golden = make_golden(CASES[0], outputs=outputs, where={}, faults={}, tolerances={"z": EXACT}, noise={})
    write_golden(tmp_path / "a.h5", golden)
    with h5py.File(tmp_path / "a.h5") as file:
        assert "default" not in file.attrs


def test_only_an_operation_that_says_so_may_be_transcribed(tmp_path: Path) -> None:
    write_golden(tmp_path / "a.h5", make_golden(CASES[0], producer="transcribed"))
    golden = read_golden(tmp_path / "a.h5")
    with pytest.raises(GoldenError, match=r"toy/double: its producer is 'transcribed'; .* must be produced by TensorF"):
        golden.complete_inputs(CASES[0])
    operation = dataclasses.replace(CASES[0].operation, transcribed=True)
    allowed = dataclasses.replace(CASES[0], operation=operation)
    assert golden.complete_inputs(allowed).keys() == golden.inputs.keys()


def test_a_golden_is_never_overwritten_in_place(path: Path) -> None:
    with pytest.raises(OSError, match="exists"):
        write_golden(path, make_golden(CASES[0]))


@pytest.mark.parametrize("mask", [np.ones((4, 5), np.uint8), np.array([True]), np.ones((4, 5))])
def test_a_mask_that_would_index_instead_of_select_is_refused(tmp_path: Path, mask: np.ndarray) -> None:
    write_golden(tmp_path / "a.h5", make_golden(CASES[0], where={"y": mask}))
    with pytest.raises(GoldenError, match=r"mask of output 'y': expected bool \(4, 5\)"):
        read_golden(tmp_path / "a.h5")


def test_derived_inputs_are_recomputed_and_checked() -> None:
    case = next(case for case in CASES if case.name == "toy/ramp")
    golden = make_golden(case)
    assert set(golden.inputs) == {"start"}
    assert golden.complete_inputs(case)["ramp"].shape == (1000,)
    operation = dataclasses.replace(
        case.operation, derive=lambda inputs, parameters: {"ramp": inputs["start"] + np.ones(1000, np.float32)}
    )
    with pytest.raises(GoldenError, match="its recipe no longer gives the input 'ramp'"):
        golden.complete_inputs(dataclasses.replace(case, operation=operation))


def test_paths_follow_names() -> None:
    assert golden_path(Path("f"), "probe/mask") == Path("f/probe/mask.h5")


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.clear(),
        lambda table: table.update(more=1),
        lambda table: table.update(more={"symptom": "s", "outputs": {}}),
        lambda table: table["negated"].update(symptom="\x1b[31m"),
        lambda table: table["negated"].update(outputs=[]),
        lambda table: table["negated"]["outputs"].update(z=table["negated"]["outputs"]["y"]),
        *(
            lambda table, key=key, value=value: table["negated"]["outputs"]["y"].update({key: value})
            for key, value in (
                ("kept", -1),
                ("kept", 10**6),
                ("kept", True),
                ("share", "many"),
                ("share", float("nan")),
                ("share", -1),
                ("distance", float("nan")),
                ("shape", [2**62, 8]),
                ("shape", [-4, -5]),
                ("shape", [1]),
                ("dtype", "garbage"),
                ("dtype", "O"),
                ("dtype", "<f8"),
                ("sums", [1]),
                ("sums", None),
                ("sums", [float("nan")] * 4),
            )
        ),
    ],
)
def test_a_damaged_table_of_faults_is_one_clear_error(path: Path, change: Callable[[dict], object]) -> None:
    edit_table(path, lambda table: change(table["caught"]))
    with pytest.raises(GoldenError, match="Restore it from version control"):
        read_golden(path)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("proof/complex64", np.zeros((), np.complex64)),
        ("proof/complex64", np.zeros((3, 2), np.complex64)),
        ("proof/complex64", np.zeros(55)),
        ("proof/float32", np.zeros(3, np.float32)),
        ("proof/at", np.zeros(56)),
        ("proof/at", np.zeros(3, np.int64)),
        ("proof/at", np.full(56, -1)),
        ("proof/at", np.full(56, 2**62)),
    ],
)
def test_damaged_faults_are_one_clear_error(path: Path, name: str, array: np.ndarray) -> None:
    with h5py.File(path, "r+") as file:
        if name in file:
            del file[name]
        file[name] = array
        seal(file[name], array)
    with pytest.raises(GoldenError, match="Restore it from version control"):
        read_golden(path)


def test_there_is_room_for_many_faults(tmp_path: Path) -> None:
    golden = make_golden(CASES[0])
    many = dataclasses.replace(golden, faults={f"fault_{n}": golden.faults["negated"] for n in range(400)})
    write_golden(tmp_path / "a.h5", many)
    assert read_golden(tmp_path / "a.h5").content_digest() == many.content_digest()


def test_a_text_too_long_for_an_attribute_is_refused(tmp_path: Path) -> None:
    golden = make_golden(CASES[0], summary="x" * 2**16)
    with pytest.raises(GoldenError, match=r"'summary' of / takes 65536 bytes; at most \d+ fit"):
        write_golden(tmp_path / "a.h5", golden)


def test_the_five_lines_of_h5py_in_the_how_to_print_what_it_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Numbers and digests are not compared, because they change with the goldens."""
    section = (REPOSITORY / "docs" / "how-to.md").read_text(encoding="utf-8").split("five lines of h5py\n")[1]
    code, printed, compared = re.findall(r"```(?:python|text)\n(.*?)```", section, re.DOTALL)[:3]
    assert len(code.splitlines()) == 5
    monkeypatch.chdir(REPOSITORY)
    names: dict[str, Any] = {}
    exec(code, names)
    number = re.compile(r"[0-9a-f]{32}|[\d.]+e-\d+")
    assert number.sub("#", capsys.readouterr().out) == number.sub("#", printed)
    *lines, answer = compared.splitlines()
    actual = names["file"]["outputs/mosaic"][()]
    for wrong, is_right in ((0, True), (1, False)):
        exec("\n".join(lines), names | {"actual": actual + wrong}, found := {})
        assert bool(eval(answer, names | found | {"actual": actual + wrong})) is is_right
    names["file"].close()


def test_texts_are_utf8(path: Path) -> None:
    golden = dataclasses.replace(make_golden(CASES[0]), summary="größer als 1 µm", provenance={"reference": "Straße"})
    path.unlink()
    write_golden(path, golden)
    with h5py.File(path) as file:
        for node, key in ((file, "summary"), (file, "README"), (file["outputs/y"], "units")):
            assert node.attrs.get_id(key).get_type().get_cset() == h5py.h5t.CSET_UTF8
        assert file.attrs["summary"].decode() == golden.summary
        assert "Straße" in file.attrs["provenance"].decode()
        assert file["proof/table"].id.get_type().get_cset() == h5py.h5t.CSET_UTF8
        assert json.loads(file["proof/table"].asstr()[0])["caught"].keys() == golden.faults.keys()
    assert_same(read_golden(path), golden)
