"""``golden check`` finds a subject, compares it with every golden that it offers, and prints a line per operation."""

from __future__ import annotations

import importlib.metadata
import itertools
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from golden.cli import main
from golden.spec.catalogue import load_cases
from golden.store.checkout import CODE
from golden.testing import subject
from golden.testing.comparison import compared
from golden.testing.goldens import Goldens

RIGHT = """
import numpy as np

def toy_scale(*, x, factor):
    return {"y": x * np.float32(factor), "rows": np.array(len(x))}

def toy_large(*, start, ramp):
    return {"z": ramp}
"""
WRONG = RIGHT.replace("x * np", "-x * np")
NUMBERS = itertools.count()
Check = Callable[..., Result]


@pytest.fixture
def check(tmp_path: Path, fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Return a function that writes a subject into a module and checks it against the stand-in goldens."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def run(code: str, *arguments: str, known: str = "") -> Result:
        name = f"subject_{next(NUMBERS)}"
        (tmp_path / f"{name}.py").write_text(code)
        if known:
            (tmp_path / "known.toml").write_text(known)
            arguments = (*arguments, "--known", str(tmp_path / "known.toml"))
        options = ("--fixtures", str(fixtures), "--cases", "tests.golden.standin")
        return CliRunner().invoke(main, ["check", name, *arguments, *options])

    return run


def rows(result: Result) -> dict[str, list[str]]:
    """Parse the table: operation -> the other words of its line."""
    lines = result.stdout.partition("\n\n")[0].splitlines()[1:]
    return {line.split()[0]: line.split()[1:] for line in lines if not line.startswith(" ")}


def test_a_right_subject(check: Check) -> None:
    result = check(RIGHT)
    assert result.exit_code == 0, result.output
    assert rows(result) == {"toy.large": ["1"], "toy.scale": ["2"]}
    assert ": 3 checked, 5 outputs; closest to its tolerance: " in result.output
    assert "slow, not run: toy/slow" in result.output


def test_slow_goldens_are_compared_when_they_are_named(check: Check) -> None:
    assert rows(check(RIGHT, "toy/slow")) == {"toy.scale": ["1"]}
    assert rows(check(RIGHT, "--slow", "toy/[st]*")) == {"toy.scale": ["2"]}


def test_a_wrong_subject_is_reported_in_a_line_and_in_full_with_v(check: Check) -> None:
    result = check(WRONG)
    assert result.exit_code == 1
    line = "2  2 x matches fault 'negated' exactly: the result has the other sign; expected x * factor"
    assert rows(result)["toy.scale"] == line.split()
    assert "of 20 compared elements fail" not in result.output
    assert "add -v for details" in result.output
    assert "of 20 compared elements fail" in check(WRONG, "-v").output


def test_operations_that_are_not_offered_are_listed(check: Check) -> None:
    result = check(RIGHT.partition("def toy_large")[0])
    assert result.exit_code == 0
    assert rows(result) == {"toy.scale": ["2"]}
    assert "\nnot offered: toy.large\n" in result.output


def test_a_second_way(check: Check) -> None:
    result = check(
        f"{RIGHT}\ndef toy_scale__backwards(*, x, factor):\n    return toy_scale(x=x[::-1], factor=factor)\n"
    )
    assert result.exit_code == 1
    assert rows(result)["toy.scale"] == ["2"]
    assert rows(result)["toy.scale__backwards"][0] == "2"


def test_a_package_is_searched(check: Check, tmp_path: Path) -> None:
    (tmp_path / "several").mkdir()
    (tmp_path / "several" / "__init__.py").write_text("")
    first, second = RIGHT.split("def toy_large")
    (tmp_path / "several" / "scale.py").write_text(first)
    (tmp_path / "several" / "ramps.py").write_text(f"def toy_large{second}")
    result = check("import several\n__path__ = several.__path__")
    assert rows(result) == {"toy.large": ["1"], "toy.scale": ["2"]}, result.output


class Tensor:
    """Like a framework's tensor: its values are on a device and have a gradient, so NumPy cannot read them directly."""

    def __init__(self, array: np.ndarray, dtype: str, steps: tuple[str, ...] = ()) -> None:
        self._array, self.dtype, self._steps = array, dtype, steps

    def detach(self) -> Tensor:
        return Tensor(self._array, self.dtype, (*self._steps, "detach"))

    def cpu(self) -> Tensor:
        return Tensor(self._array, self.dtype, (*self._steps, "cpu"))

    def numpy(self) -> np.ndarray:
        if self._steps != ("detach", "cpu"):
            raise RuntimeError(f"not detached, or not on the CPU: {self._steps}")
        if self.dtype == "torch.bfloat16":
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self._array


class Array:
    """An array of a framework that supports only NumPy's protocol."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        return self._array


@pytest.mark.parametrize("kind", ["Tensor(y, 'torch.complex64')", "Array(y)", "y[:]", "FromDlpack(y)"])
def test_arrays_of_other_frameworks_are_taken(check: Check, kind: str) -> None:
    code = RIGHT.replace('{"y": x * np.float32(factor)', f'{{"y": (lambda y: {kind})(x * np.float32(factor))')
    helper = "class FromDlpack:\n    def __init__(self, y): self.y = y\n"
    helper += "    def __dlpack__(self, **k): return self.y.__dlpack__(**k)\n"
    helper += "    def __dlpack_device__(self): return self.y.__dlpack_device__()\n"
    result = check(f"from tests.golden.test_check import Array, Tensor\n{helper}{code}")
    assert result.exit_code == 0, result.output


class Closed(dict[str, np.ndarray]):
    """Outputs in a file that the subject has closed, as h5py's are."""

    def items(self) -> Any:
        raise ValueError("it is closed")


RETURNED = {
    "raise ValueError('odd sides are refused')": "ValueError: odd sides are refused",
    "raise SystemExit(3)": "SystemExit: 3",
    "return y": "expected outputs by name, {'rows': …, 'y': …}, found an array",
    "return {'y': y.tolist(), 'rows': rows}": (
        "output 'y': expected an array of numbers or bytes, complex64 of shape (4, 5), found list"
    ),
    "return {'y': np.ma.masked_array(y, y.real > 0), 'rows': rows}": (
        "output 'y': expected a plain array, complex64 of shape (4, 5), found a masked array"
    ),
    "return {'y': Array(np.ma.masked_array(y, y.real > 0)), 'rows': rows}": "found a masked array; fill its",
    "return {'y': Tensor(np.ma.array(y), 'x'), 'rows': rows}": "found a masked array; fill its 0 masked elements",
    "return {'y': y.astype(object), 'rows': rows}": "found an array of dtype object",
    "return {'y': Tensor(y.real, 'torch.bfloat16'), 'rows': rows}": (
        "complex64 of shape (4, 5), found tests.golden.test_check.Tensor (torch.bfloat16), which NumPy cannot convert"
    ),
    "return {'y': y * np.float32('nan'), 'rows': rows}": "none of the compared values is finite",
    "return {'y': np.where(y.real > 1, np.nan, y).astype('c8'), 'rows': rows}": "the finite values agree, but",
    "return {'y': y[:0], 'rows': rows}": "y: expected shape (4, 5), found (0, 5)",
    "return {'y': 'text', 'rows': rows}": "output 'y': expected an array of numbers or bytes",
    "return {'y': y, 'rows': len(x)}": "expected an array of numbers or bytes, int64 of shape (), found int",
    "return {'y': y.astype('U32'), 'rows': rows}": "found an array of dtype <U32",
    "return {}": "rows: output missing; found []",
    "return Closed()": (
        "expected outputs by name, found tests.golden.test_check.Closed, which cannot be read "
        "(ValueError: it is closed)"
    ),
    "return None": "expected outputs by name, {'rows': …, 'y': …}, found NoneType",
    "return {'y': y[None], 'rows': rows}": "the values are right and in order; only the shape differs",
    "return {'y': y.astype(complex), 'rows': rows}": "the dtype is complex128 instead of complex64",
    "return {'scaled': y, 'rows': rows}": "scaled: output not in the golden, which has ['rows', 'y']",
    "return {'y': y, 'rows': rows, 'more': y}": "more: output not in the golden, which has ['rows', 'y']",
}
"""What a subject may do, and the line that reports it."""


@pytest.mark.parametrize("body", RETURNED)
def test_a_result_that_cannot_be_compared_is_a_clear_line(check: Check, body: str) -> None:
    code = f"""
import numpy as np
from tests.golden.test_check import Array, Closed, Tensor
def toy_scale(*, x, factor):
    y, rows = x * np.float32(factor), np.array(len(x))
    {body}
def toy_large(*, start, ramp):
    return {{"z": ramp}}
"""
    result = check(code)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert RETURNED[body] in " ".join(result.stdout.split()), result.output
    assert rows(result)["toy.large"] == ["1"], "the other operations are still compared"


def test_an_output_may_be_left_out(check: Check) -> None:
    without = RIGHT.replace('"rows": np.array(len(x))', '"rows": None')
    result = check(without)
    assert result.exit_code == 0, result.output
    assert rows(result)["toy.scale"] == ["2", "outputs", "not", "offered:", "rows"]
    wrong = check(without.replace("x * np", "-x * np"))
    assert "matches fault 'negated'" in wrong.output
    assert "output missing" not in wrong.output
    nothing = check(without.replace('"y": x * np.float32(factor)', '"y": None'))
    assert "every output is None" in nothing.output


def test_the_subject_may_change_its_arguments(check: Check) -> None:
    code = RIGHT.replace("return {", "x *= np.float32(factor); return {").replace(
        '"y": x * np.float32(factor)', '"y": x'
    )
    assert check(code, "toy/double").exit_code == 0


def test_what_the_subject_prints_is_not_in_the_result(check: Check) -> None:
    result = check(RIGHT.replace("return {", "print('loading'); return {"), "--json")
    assert json.loads(result.stdout)["status"] == "ok"
    assert "loading" in result.stderr


def test_reports(check: Check, tmp_path: Path) -> None:
    files = [tmp_path / f"page.{ending}" for ending in ("html", "md", "json")]
    result = check(WRONG, *(part for file in files for part in ("--report", str(file))))
    assert result.exit_code == 1
    page, text, data = (file.read_text() for file in files)
    assert "data:image/webp;base64," in page
    for told in ("matches fault &#39;negated&#39;", "toy.scale", "subject_"):
        assert told in page
    assert "| toy.scale |  | 2 |  |  | 2 x matches fault 'negated' exactly" in text
    assert {check["case"] for check in json.loads(data)["checks"]} == {"toy/double", "toy/triple", "toy/ramp"}
    refused = check(RIGHT, "--report", "page.pdf")
    assert refused.exit_code == 2
    assert "--report page.pdf: expected a file that ends in .md, .json, .html" in refused.output


def test_several_jobs_give_the_same_report(check: Check) -> None:
    alone, together = check(WRONG), check(WRONG, "--jobs", "2")
    assert together.exit_code == 1
    assert rows(together) == rows(alone)
    crash = check(RIGHT.replace("return {", "import os; os._exit(1); return {"), "--jobs", "2")
    assert crash.exit_code == 2
    assert "its process ended" in crash.output


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import nothing_like_it", "cannot be imported (ModuleNotFoundError: No module named 'nothing_like_it')"),
        ("import sys; sys.exit('no')", "cannot be imported (SystemExit: no)"),
        ("x = 1", "offers no operation; expected functions named like toy_large, toy_scale"),
        (f"{RIGHT}\ndef toy_scal(): ...", "no operation is called 'toy_scal'; did you mean toy_scale?"),
        (f"{RIGHT}\ndef toy_scaling(): ...", "no operation is called 'toy_scaling'; did you mean toy_scale?"),
        (f"{RIGHT}\ndef toy_scle__slowly(): ...", "no operation is called 'toy_scle__slowly'; did you mean toy_scale?"),
    ],
)
def test_an_invalid_subject_is_refused(check: Check, code: str, message: str) -> None:
    result = check(code)
    assert result.exit_code == 2
    assert message in result.output


def test_helpers_of_a_subject_are_left_alone(check: Check) -> None:
    assert check(f"{RIGHT}\ndef _toy_scal(): ...\ndef toy_of(): ...\nclass toy_scal: ...").exit_code == 0


def test_comparing_nothing_is_an_error(check: Check) -> None:
    result = check(RIGHT.partition("def toy_large")[0], "toy/ramp")
    assert result.exit_code == 2
    assert "nothing to compare; it offers none of the 1 selected goldens" in result.output
    assert "no case matches 'toy/tripl'; nearest: toy/triple" in check(RIGHT, "toy/tripl").output


def test_a_damaged_golden_is_a_problem_of_the_run(check: Check, fixtures: Path) -> None:
    (fixtures / "toy" / "ramp.h5").write_bytes(b"")
    result = check(RIGHT)
    assert result.exit_code == 1
    assert "ramp.h5: the file is empty" in result.output
    assert rows(result) == {"toy.scale": ["2"]}


# ------------------------------------------------------------------------------------------------ declarations


KNOWN = '["toy.scale"]\nreason = "on purpose"\n'


def test_a_known_difference_is_listed_and_does_not_fail(check: Check) -> None:
    result = check(WRONG, known=KNOWN)
    assert result.exit_code == 0, result.output
    assert rows(result)["toy.scale"][0] == "2"
    assert "known (on purpose): matches fault 'negated'" in result.output
    assert "known difference: toy.scale: on purpose" in result.output


def test_a_known_difference_that_is_gone_fails(check: Check) -> None:
    result = check(RIGHT, known=KNOWN)
    assert result.exit_code == 1
    told = (
        "known.toml: 'toy.scale' is declared to differ (on purpose), but all 2 of its goldens agree: remove the entry"
    )
    assert told in " ".join(result.output.split())
    assert check(RIGHT, "toy/double", known=KNOWN).exit_code == 0, "not all of its goldens were compared"


def test_a_known_difference_may_name_its_fault(check: Check) -> None:
    assert check(WRONG, known=f'{KNOWN}fault = "negated"\n').exit_code == 0
    other = check(WRONG, known=f'{KNOWN}fault = "row_lost"\n')
    assert other.exit_code == 1
    assert "declared to differ as fault 'row_lost' does, but it differs in another way" in " ".join(
        other.output.split()
    )
    agrees = check(RIGHT, known=f'{KNOWN}fault = "negated"\n')
    assert agrees.exit_code == 1
    assert rows(agrees)["toy.scale"][0] == "2"
    assert "but it agrees: remove the entry, or narrow 'toy.scale'" in " ".join(agrees.output.split())


def test_an_exception_is_not_a_known_difference(check: Check) -> None:
    assert check(RIGHT.replace("return {", "raise ValueError; return {"), "toy/[dt]*", known=KNOWN).exit_code == 1


def test_a_known_difference_covers_cases_or_a_way(check: Check) -> None:
    assert check(WRONG, known='["toy/double"]\nreason = "one"\n').exit_code == 1
    assert check(WRONG, known='["toy/*"]\nreason = "all"\n').exit_code == 0
    code = f"{RIGHT}\ndef toy_scale__turned(*, x, factor):\n    return toy_scale(x=-x, factor=factor)\n"
    assert check(code, known='["toy.scale__turned"]\nreason = "one way"\n').exit_code == 0
    assert check(code, known=KNOWN).exit_code == 1


OFF = RIGHT.replace("x * np.float32(factor)", "(x * np.float32(factor * (1 + 3e-5))).astype(np.complex64)")


def test_slack_is_a_factor_on_the_tolerance(check: Check) -> None:
    assert check(OFF).exit_code == 1
    result = check(OFF, known='["toy.scale"]\nreason = "it rounds early"\nslack = 8\n')
    assert result.exit_code == 0, result.output
    assert rows(result)["toy.scale"] == ["2"]
    assert "slack 8: toy.scale: it rounds early" in result.output
    assert check(OFF, known='["toy.scale"]\nreason = "it rounds early"\nslack = 1.5\n').exit_code == 1
    assert check(WRONG, known='["toy.scale"]\nreason = "it rounds early"\nslack = 8\n').exit_code == 1


def test_slack_that_would_hide_a_fault_is_refused(check: Check) -> None:
    result = check(OFF, "-v", known='["toy.scale"]\nreason = "it rounds early"\nslack = 1e7\n')
    assert result.exit_code == 1
    assert "slack 1e+07 is refused here: fault 'factor_plus_one' is" in " ".join(result.output.split())


def test_operations_that_are_not_offered_on_purpose(check: Check) -> None:
    without = RIGHT.partition("def toy_large")[0]
    result = check(without, known='["toy.large"]\nnot_offered = "the port has no ramp"\n')
    assert result.exit_code == 0
    assert rows(result)["toy.large"] == ["not", "offered:", "the", "port", "has", "no", "ramp"]
    refuses = RIGHT.replace("return {", "assert factor < 3; return {", 1)
    assert check(refuses).exit_code == 1
    one = check(refuses, known='["toy/triple"]\nnot_offered = "factors of 3 are refused"\n')
    assert one.exit_code == 0, one.output
    assert "1 not offered" in one.output
    able = check(RIGHT, known='["toy/triple"]\nnot_offered = "factors of 3 are refused"\n')
    assert able.exit_code == 1
    assert "but the subject returns outputs: remove the entry" in " ".join(able.output.split())


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ("[[", "expected a TOML file of known differences"),
        ('["toy.scale"]\nslack = 8', 'it needs a reason = "…"'),
        ('["toy.scale"]\nreason = " "', 'it needs a reason = "…"'),
        ('["toy.scale"]\nreasn = "x"', "unknown field 'reasn'; expected one of reason, fault, slack, not_offered"),
        ('["toy.scale"]\nreason = 3', "reason = 3: expected a text"),
        ('["toy.scale"]\nreason = "x"\nslack = true', "slack = True: expected a number"),
        ('["toy.scale"]\nreason = "x"\nslack = 0.5', "slack = 0.5: expected a number above 1"),
        ('["toy.scale"]\nreason = "x"\nslack = inf', "slack = inf: expected a number above 1"),
        ('["toy.scale"]\nreason = "x"\nslack = 2\nfault = "negated"', "give one of fault, slack and not_offered"),
        ('["toy.scal"]\nreason = "x"', "no operation or way has this name; nearest: toy.scale"),
        ('["toy.scale__x"]\nreason = "x"', "no operation or way has this name"),
        ('["toy/x*"]\nreason = "x"', "no case matches"),
        (
            '["toy.scale"]\nreason = "x"\nfault = "negatd"',
            "no operation of these cases declares fault = 'negatd'; nearest: negated",
        ),
        ('"toy.scale" = "x"', "expected a table"),
        ('["toy.scale"]\nreason = "x"\n["toy/double"]\nreason = "y"', "both cover toy/double"),
        ('["toy.scale"]\nnot_offered = "x"', "declared not_offered, but"),
    ],
)
def test_invalid_declarations_are_refused(check: Check, known: str, message: str) -> None:
    result = check(RIGHT, known=known)
    assert result.exit_code == 2
    assert message in result.output


# ------------------------------------------------------------------------------------------------ where it comes from


def package(directory: Path, name: str, **modules: str) -> None:
    (directory / name).mkdir(parents=True)
    for module, code in {"__init__": "", **modules}.items():
        (directory / name / f"{module}.py").write_text(code)


def test_a_package_from_two_places_is_reported(check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    package(one, "mixed_port", __init__=f"__path__ += [{str(other / 'mixed_port')!r}]")
    package(other, "mixed_port", late="scale = 1")
    monkeypatch.syspath_prepend(str(one))
    result = check(f"import mixed_port.late\n{RIGHT}")
    assert result.exit_code == 1
    told = f"the modules of package 'mixed_port' come from 2 places: {one} and {other}"
    assert told in " ".join(result.output.split())


@pytest.mark.parametrize(("part", "status"), [("", 1), (".broken", 2)])
def test_distributions_that_overwrite_each_other_are_reported(
    check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, status: int
) -> None:
    sys.modules.pop("twice_port", None)
    monkeypatch.syspath_prepend(f"{tmp_path.parent}//{tmp_path.name}")  # the same place, written in another way
    package(tmp_path, "twice_port", broken="import not_there_at_all")
    installed = {"port_a": ("top_level.txt", "twice_port\n"), "port_b": ("RECORD", "twice_port/__init__.py,,\n")}
    for name, (file, text) in installed.items():
        (tmp_path / f"{name}-1.0.dist-info").mkdir()
        (tmp_path / f"{name}-1.0.dist-info" / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\n")
        (tmp_path / f"{name}-1.0.dist-info" / file).write_text(text)
    result = check(f"import twice_port{part}\n{RIGHT}")
    assert result.exit_code == status
    told = "package 'twice_port' was installed by port_a and port_b: they overwrite each other's modules"
    assert told in " ".join(result.output.split())


def test_who_installed_a_package_is_what_python_says() -> None:
    found = importlib.metadata.packages_distributions()
    expected = {package: sorted({*names}) for package, names in found.items() if package in sys.modules}
    assert {"numpy", "pytest", "golden"} <= set(expected)
    assert subject._installers([*expected, "nothing"]) == {**expected, "nothing": []}


def test_data_in_the_directory_of_a_package_do_not_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lists = {"code": "RECORD", "data": "RECORD", "egg": "SOURCES.txt"}
    texts = {"code": "a_port/deep/x.py,,\n", "data": "a_port/x.npz,,\n", "egg": "a_port/__init__.py\nsetup.py\n"}
    for name, file in lists.items():
        about = tmp_path / (f"{name}-1.egg-info" if name == "egg" else f"{name}-1.dist-info")
        about.mkdir()
        (about / ("PKG-INFO" if name == "egg" else "METADATA")).write_text(f"Name: {name}\nVersion: 1\n")
        (about / file).write_text(texts[name])
    package(tmp_path, "a_port")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert subject._installers(["a_port"]) == {"a_port": ["code", "egg"]}


def test_the_numpy_restatement_is_a_subject() -> None:
    result = CliRunner().invoke(main, ["check", "golden.ptychopinn.formulas", "probe/*", "coordinates/*"])
    assert result.exit_code == 0, result.output
    cases = [case for case in load_cases("golden.ptychopinn").values() if case.operation.name == "probe.normalise"]
    assert rows(result)["probe.normalise"] == [str(len(cases))]


def test_it_needs_neither_pytest_nor_torch(tmp_path: Path) -> None:
    import subprocess

    code = (
        "import sys; from golden.cli import main\n"
        "try: main(['check', 'golden.ptychopinn.formulas', 'probe/hard_mask*'])\n"
        "finally: print(*sorted({'pytest', '_pytest', 'torch', 'jinja2'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == ""


@pytest.mark.parametrize(
    ("put", "message"),
    [
        (lambda path: path.symlink_to("/dev/zero"), "a symbolic link, not a file"),
        (lambda path: (path.touch(), os.truncate(path, 2**42)), "4398046511104 bytes; at most 1048576 are read"),
        (lambda path: path.write_text("x = " + "[" * 100_000), "expected a TOML file of known differences"),
        (lambda path: path.write_bytes(b"\xff"), "expected a TOML file of known differences ('utf-8' codec"),
        pytest.param(
            getattr(os, "mkfifo", None),
            "a pipe, a socket or a device, not a file",
            marks=pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such pipes"),
        ),
    ],
)
def test_a_harmful_file_of_declarations_is_refused(
    check: Check, tmp_path: Path, put: Callable[[Path], object], message: str
) -> None:
    put(tmp_path / "other.toml")
    result = check(RIGHT, "--known", str(tmp_path / "other.toml"))
    assert result.exit_code == 2
    assert message in result.output


# ------------------------------------------------------------------------------------------------ what a subject sets


@pytest.mark.parametrize("value", [np.inf, 3e38, 1e-45])
def test_a_port_that_lets_numpy_raise_is_judged_like_any_other(value: float) -> None:
    goldens = Goldens(CODE / "golden" / "fixtures", "golden.ptychopinn")
    outputs = goldens.open("network/forward_group1").golden.outputs.items()
    found = {name: np.full(1000, value).astype(one.dtype) for name, one in outputs if one.dtype.kind == "f"}
    with np.errstate(all="raise"):
        opened = goldens.open("network/forward_group1")
        check = compared(opened, found, None, None, None)
    assert not check.agrees
    assert check.cause


def test_a_subject_may_change_the_current_directory(
    check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    result = check(f"import os; os.chdir({str(tmp_path)!r})\n{RIGHT}", "--report", "run.json")
    assert result.exit_code == 0, result.output
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["run.json"]
