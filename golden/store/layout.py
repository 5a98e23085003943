"""Define the layout of a golden's file, and make a golden from its contents. ``read`` and ``write`` open the file.

Layout of a golden::

    /              @README, @format, @case, @operation, @summary, @definition, @draw, @producer
                   @parameters, @expected_constant, @provenance   (JSON text)
    /inputs/NAME   stored inputs                                  @sha256, @axis_names, @units
    /derived/NAME  inputs made by the operation's recipe: no data, only @sha256, @shape, @dtype, @axis_names, @units
    /outputs/NAME  what the reference returned, in its layout     @sha256, @axis_names, @units
                   @atol, @rtol, of floating-point outputs
    /where/NAME    bool: the compared elements of that output     @sha256
    /proof/table   (1,) text, JSON                                @sha256
                   caught: fault -> symptom and, by output that it gets wrong, shape, dtype, share of the tolerance,
                   distance, signed sums, and how many of the elements below belong to it; invisible: fault -> reason;
                   noise: output -> atol and rtol of rounding alone (floating-point outputs), and runs: what each run
                   contributed
    /proof/DTYPE   kept elements of the wrong outputs of that dtype, one fault after the other      @sha256
    /proof/at      int64: flat index of each in its wrong output, minus the index before it         @sha256
    /picture/NAME  the main output again, as a coarser image (H, W) or stack of images (k, H, W)

``@axis_names`` has a word for each axis, in order; ``@units`` is ``1`` for numbers without a unit. Both are present if
the operation declares them. The name ``@axes`` is avoided, because viewers take its words for names of datasets.

The ``@sha256`` of an array is the first half of its digest; that of a derived input is the whole digest. The picture is
for viewers. With the NeXus attributes ``@default``, ``@NX_class`` and ``@signal``, silx and h5web plot it at once; they
cannot do this with TensorFlow's layout (channels last). Its numbers have 6 bits of mantissa beside the leading one, so
they agree with the output to 1 %, in less than half of its bytes. It needs no digest: the reader rounds the output
again and refuses any other picture. If no output is an image, the attributes point to ``/outputs``.

A file has only UTF-8 texts of fixed length, hard links, and contiguous or deflate + shuffle data: a reader can check
these before it trusts the file. Time stamps are off, so the same golden gives the same bytes on the same machine.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from golden.judge.compare import EXACT, Tolerance
from golden.judge.proof import Caught, Wrong
from golden.spec.arrays import Arrays, digest_array, images, is_picture, main_output
from golden.spec.errors import GoldenError
from golden.spec.operation import Label
from golden.store import format4
from golden.store.contents import Contents, parse_json
from golden.store.golden import FORMAT, TRANSCRIBED, Derived, Golden, require_mask

README = """\
A golden: what a TensorFlow reference computed from given inputs. A port must compute the same.
/inputs   what goes in (/derived: made by a recipe, not stored); @operation, @parameters: what is computed of it.
/outputs  what must come out, in dtype and shape too: |actual - expected| <= atol + rtol |expected|, equal without atol.
/where    true where an output is compared; without a mask, everywhere.
/proof    what known mistakes would give, and how far rounding goes. /picture: for viewers.
More: docs/ of ptycho-golden."""
"""A golden's description of itself for someone who has never seen one; the same in every file of the format."""
GROUPS = ("derived", "inputs", "outputs", "picture", "proof", "where")
DIGEST_LENGTH = 32
"""Characters of an array's SHA-256 that the file stores."""
SUMS = ("first_real", "first_imaginary", "second_real", "second_imaginary")
"""The parts of the two signed sums of a wrong output (``Wrong.sums``)."""
_PICTURE_BITS = 6
"""Bits of the mantissa that a picture keeps, beside the leading one."""
MOST_ATTRIBUTES = 64
LARGEST_TABLE = 2**20
"""The largest table of faults that is read, in bytes; the largest that we write has about 50 kB."""
MOST_TEXTS = 2**16
"""The most texts that an array may have; ours have a hundred at most."""
_DAMAGE = (
    OSError,
    RuntimeError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
    zlib.error,
)
"""What libhdf5, h5py, NumPy, zlib and JSON raise on damaged files."""


def unsound(path: Path, what: str) -> GoldenError:
    """Make the error for a golden that is not sound."""
    return GoldenError(
        f"golden {path}: {what}. Restore it from version control; if you cannot, delete it and regenerate it "
        f"with 'python generate_golden.py --update --reason ...'"
    )


@contextmanager
def damage_told(path: Path) -> Iterator[None]:
    """Turn what libraries raise on damaged files into one clear error."""
    try:
        yield
    except _DAMAGE as problem:
        raise unsound(path, f"it is damaged ({type(problem).__name__}: {problem})") from problem


def golden_of(contents: Contents, path: Path) -> Golden:
    """Make a golden from the contents of a file.

    Args:
        contents: of the file.
        path: of the file, for errors.

    Raises:
        GoldenError: they are not a sound golden of this format, or TensorFlow did not produce them. The message names
            the file and says what to do.
    """
    with damage_told(path):
        return _Interpreter(contents, path).golden()


def outputs_of(contents: Contents, path: Path) -> dict[str, np.ndarray]:
    """Take bare outputs from the contents of a file, with the same checks."""
    with damage_told(path):
        return _Interpreter(contents, path).arrays("outputs")


def picture_of(outputs: Arrays) -> dict[str, np.ndarray]:
    """Turn the main output into a coarse image or stack of images, by its name; nothing if it is not an image.

    A mask becomes 0 and 1.
    """
    name = main_output(outputs)
    if name is None or not is_picture(outputs[name]):
        return {}
    stack = images(outputs[name])
    stack = stack.astype(np.uint8) if stack.dtype.kind == "b" else _coarse(stack)
    return {name: stack[0] if len(stack) == 1 else stack}


def _coarse(array: np.ndarray) -> np.ndarray:
    """Round numbers to ``_PICTURE_BITS`` bits of mantissa. The arithmetic is exact, so every machine gives the same."""
    if array.dtype.kind not in "fc":
        return array
    parts = np.ascontiguousarray(array).view(array.real.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        mantissa, exponent = np.frexp(parts)
        whole = np.round(mantissa * 2 ** (_PICTURE_BITS + 1))
        coarse: np.ndarray = np.ldexp(whole, exponent - _PICTURE_BITS - 1)
    return coarse.view(array.dtype)


@cache
def kind_of(dtype: str) -> str:
    """Name the array in ``/proof`` that holds values of a dtype. Texts of all lengths are in one."""
    return "text" if np.dtype(dtype).kind == "S" else np.dtype(dtype).name


class _Interpreter:
    """Makes a golden from contents, and refuses inconsistent ones."""

    def __init__(self, contents: Contents, path: Path) -> None:
        self._contents = contents
        self._path = path

    def error(self, what: str) -> GoldenError:
        return unsound(self._path, what)

    def golden(self) -> Golden:
        found = self.text("", "format")
        if found == format4.FORMAT:
            self._contents = format4.upgraded(self._contents, DIGEST_LENGTH)
        elif found != FORMAT:
            raise GoldenError(
                f"golden {self._path}: expected format {FORMAT!r} or {format4.FORMAT!r}, found {found!r}. Read it with "
                f"the release of ptycho-golden that wrote it; or delete it and regenerate it with "
                f"'python generate_golden.py --update --reason ...'"
            )
        elif self._attribute("", "README").tolist() != README.encode():
            raise self.error("its README is not the one of its format")
        case, producer = self.text("", "case"), self.text("", "producer")
        if producer not in ("tensorflow", TRANSCRIBED):  # only its case can say whether it may be transcribed
            raise self.error(f"its producer is {producer!r}; a golden must be produced by TensorFlow")
        outputs = self.arrays("outputs")
        if not outputs:
            raise self.error("it has no outputs")
        where = self._masks(case, outputs)
        self._require_picture(outputs)
        table = self._table_of_proof()
        noise = self._noise(table.get("noise"), outputs)
        return Golden(
            case=case,
            operation=self.text("", "operation"),
            summary=self.text("", "summary"),
            parameters=self.json("parameters"),
            definition=self.text("", "definition"),
            draw=self._whole_number("draw"),
            producer=producer,
            provenance=self._texts(self.json("provenance"), "its provenance"),
            inputs=self.arrays("inputs"),
            outputs=outputs,
            where=where,
            tolerances={name: self._tolerance(name, noise[name]) for name in noise},
            noise={name: of["runs"] for name, of in noise.items()},
            derived=self._derived(),
            expected_constant=self._texts(self.json("expected_constant"), "its expected_constant"),
            faults=self._faults(table, outputs),
            invisible=self._texts(table.get("invisible"), "its table of invisible faults"),
            labels=self._labels(),
            format=found,
        )

    # ------------------------------------------------------------------------------------------------ arrays

    def arrays(self, group: str) -> dict[str, np.ndarray]:
        """Return the arrays of a group by name, each checked against its digest."""
        found = self._unsealed(group)
        for name, array in found.items():
            self._require_sound(f"{group}/{name}", array)
        return found

    def _unsealed(self, group: str) -> dict[str, np.ndarray]:
        within = f"{group}/"
        arrays = self._contents.arrays
        return {path.removeprefix(within): array for path, array in arrays.items() if path.startswith(within)}

    def _require_sound(self, path: str, array: np.ndarray) -> None:
        if digest_array(array)[:DIGEST_LENGTH] != self.text(path, "sha256"):
            raise self.error(f"/{path} does not match its SHA-256")
        if array.dtype.kind == "S" and array.size > MOST_TEXTS:
            raise self.error(f"/{path} holds {array.size} texts; at most {MOST_TEXTS} are read")
        if array.dtype.kind == "S" and not all(text.decode().isprintable() for text in array.flat):
            raise self.error(f"/{path} holds texts that cannot be shown")

    def _masks(self, case: str, outputs: Arrays) -> dict[str, np.ndarray]:
        where = self.arrays("where")
        for name, mask in where.items():
            if name not in outputs:
                raise self.error(f"it has a mask for {name!r}, which is not an output")
            try:
                require_mask(case, name, outputs[name], mask)
            except GoldenError as wrong:
                raise self.error(str(wrong)) from None
        return where

    def _require_picture(self, outputs: Arrays) -> None:
        found, expected = self._unsealed("picture"), picture_of(outputs)
        if set(found) != set(expected) or any(not _same(found[name], expected[name]) for name in expected):
            raise self.error("its picture does not match its main output")

    def _tolerance(self, name: str, noise: Mapping[str, Any]) -> Tolerance:
        if self._contents.arrays[f"outputs/{name}"].dtype.kind not in "fc":
            return EXACT
        limits = [self._attribute(f"outputs/{name}", key) for key in ("atol", "rtol")]
        if any(limit.dtype != np.float64 or limit.shape for limit in limits):
            raise self.error(f"/outputs/{name}: atol and rtol must each be one float64 number")
        tolerance = Tolerance(float(limits[0]), float(limits[1]), noise.get("atol", -1), noise.get("rtol", -1))
        if not all(isinstance(number, float) and 0 <= number < math.inf for number in vars(tolerance).values()):
            raise self.error(f"/outputs/{name} has an impossible tolerance or noise: {tolerance}")
        return tolerance

    def _labels(self) -> dict[str, Label]:
        """Return axes and units of inputs and outputs, as far as the file gives them."""
        labels = {}
        for path, attributes in self._contents.attributes.items():
            group, _, name = path.partition("/")
            if not name or not {"axis_names", "units"} & set(attributes):
                continue
            axes, unit = (self.text(path, key) if key in attributes else "" for key in ("axis_names", "units"))
            shape = self._shape(path) if group == "derived" else self._contents.arrays[path].shape
            if axes and len(axes.split()) != len(shape):
                raise self.error(f"/{path} has the axes {axes!r}, but an array of shape {shape}")
            labels[f"{'inputs' if group == 'derived' else group}/{name}"] = Label(axes, unit)
        return labels

    def _derived(self) -> dict[str, Derived]:
        paths = [path for path in self._contents.attributes if path.startswith("derived/")]
        return {
            path.removeprefix("derived/"): Derived(
                self._shape(path), self._dtype(self.text(path, "dtype")), self.text(path, "sha256")
            )
            for path in paths
        }

    def _shape(self, path: str) -> tuple[int, ...]:
        shape = self._attribute(path, "shape")
        if shape.dtype != np.int64 or shape.ndim != 1:
            raise self.error(f"/{path}: expected a shape, found {shape!r}")
        return tuple(self._whole(n) for n in shape.tolist())

    def _dtype(self, text: str) -> str:
        dtype = np.dtype(text)
        if dtype.kind not in "biufcS":
            raise self.error(f"expected a dtype of numbers or texts, found {text!r}")
        return dtype.str

    # ------------------------------------------------------------------------------------------------ proof

    def _table_of_proof(self) -> dict[str, Any]:
        array = self._contents.arrays.get("proof/table", np.empty(0))
        if array.dtype.kind != "S" or array.shape != (1,):
            raise self.error("it has no table of faults")
        if array.nbytes > LARGEST_TABLE:
            raise self.error(f"its table of faults has {array.nbytes} bytes; at most {LARGEST_TABLE} are read")
        self._require_sound("proof/table", array)
        return self._json_object(array.item().decode(), "/proof/table")

    def _faults(self, table: Mapping[str, Any], outputs: Arrays) -> dict[str, Caught]:
        values, places = self._values()
        taken = dict.fromkeys(values, 0)
        faults: dict[str, Caught] = {}
        for name, entry in sorted(self._table(table.get("caught"), "its table of faults").items()):
            symptom, wrong = self._table(entry, f"fault {name!r}").get("symptom"), {}
            if not isinstance(symptom, str):
                raise self.error(f"fault {name!r} has no symptom")
            for output, details in sorted(self._table(entry.get("outputs"), f"outputs of fault {name!r}").items()):
                if output not in outputs:
                    raise self.error(f"fault {name!r} names {output!r}, which is not an output")
                kept = self._whole(self._table(details, f"fault {name!r}").get("kept"))
                dtype = self._dtype(details.get("dtype", outputs[output].dtype.str))
                kind, before = kind_of(dtype), sum(taken.values())
                if kind not in values:
                    raise self.error(f"fault {name!r} has no values of {dtype}")
                part = values[kind][taken[kind] : taken[kind] + kept].astype(dtype)
                taken[kind] += kept
                wrong[output] = self._wrong(name, details, outputs[output], part, places[before : before + kept])
            if not wrong:
                raise self.error(f"fault {name!r} gets nothing wrong")
            faults[name] = Caught(symptom, wrong)
        if taken != {kind: len(array) for kind, array in values.items()}:
            raise self.error("its table of faults does not match their values")
        return faults

    def _values(self) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Return the kept elements of wrong outputs, by dtype, and their indices."""
        values = self.arrays("proof")
        del values["table"]
        steps = values.pop("at", np.empty(0))
        if any(array.ndim != 1 or kind_of(array.dtype.str) != kind for kind, array in values.items()):
            raise self.error("/proof holds something other than lists of values")
        if steps.ndim != 1 or steps.dtype != np.int64 or len(steps) != sum(map(len, values.values())):
            raise self.error("/proof/at does not give an index for each value in /proof")
        return values, np.cumsum(steps)

    def _wrong(
        self, fault: str, entry: Mapping[str, Any], right: np.ndarray, values: np.ndarray, at: np.ndarray
    ) -> Wrong:
        shape = tuple(self._whole(n) for n in entry.get("shape", right.shape))
        sums = [self._table(entry.get("sums"), f"sums of fault {fault!r}")[part] for part in SUMS]
        share, distance = (math.inf if entry[key] is None else float(entry[key]) for key in ("share", "distance"))
        if not all(type(number) in (int, float) and math.isfinite(number) for number in sums):
            raise self.error(f"fault {fault!r} has impossible sums")
        if not (share >= 0 and distance >= 0) or (len(at) and not 0 <= at.min() <= at.max() < math.prod(shape)):
            raise self.error(f"fault {fault!r} has an impossible distance, or an index outside its array")
        return Wrong(
            shape, values.dtype.str, share, distance, at, values, np.array(sums, np.float64).view(np.complex128)
        )

    def _noise(self, value: Any, outputs: Arrays) -> dict[str, dict[str, Any]]:
        table = self._table(value, "its noise")
        if not set(table) <= set(outputs):
            raise self.error("its noise names outputs that it does not have")
        for name, noise in table.items():
            runs = self._table(self._table(noise, f"noise of {name!r}").get("runs"), f"noise of {name!r}")
            if not all(type(number) in (int, float) for number in runs.values()):
                raise self.error(f"the noise of {name!r} is not a table of numbers")
        return {name: table.get(name, {"runs": {}}) for name in outputs}

    # ------------------------------------------------------------------------------------------------ single values

    def _attribute(self, path: str, key: str) -> np.ndarray:
        try:
            return self._contents.attributes[path][key]
        except KeyError:
            raise self.error(f"/{path} lacks the attribute {key!r}") from None

    def text(self, path: str, key: str) -> str:
        value = self._attribute(path, key)
        if value.dtype.kind != "S" or value.ndim or not value.item().decode().isprintable():
            raise self.error(f"attribute {key!r} of /{path} is not a printable text")
        return str(value.item().decode())

    def _whole_number(self, key: str) -> int:
        value = self._attribute("", key)
        if value.dtype.kind not in "iu" or value.ndim:
            raise self.error(f"attribute {key!r} of / is not a whole number")
        return int(value)

    def json(self, key: str) -> dict[str, Any]:
        return self._json_object(self.text("", key), f"attribute {key!r} of /")

    def _json_object(self, text: str, what: str) -> dict[str, Any]:
        value = parse_json(text)
        # Without escapes, the texts are as printable as the document.
        is_plain = "\\" not in text and text.isprintable()
        if not isinstance(value, dict) or not (is_plain or _is_printable(value)):
            raise self.error(f"{what} is not a JSON object of printable texts")
        return value

    def _table(self, value: Any, what: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.error(f"{what}: expected a JSON object")
        return value

    def _texts(self, value: Any, what: str) -> dict[str, str]:
        table = self._table(value, what)
        if not all(isinstance(text, str) for text in table.values()):
            raise self.error(f"{what} is not a table of texts")
        return table

    def _whole(self, value: Any) -> int:
        if type(value) is not int or not 0 <= value < 2**40:
            raise self.error(f"expected a whole number, found {value!r}")
        return value


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


def _is_printable(value: Any) -> bool:
    """Tell whether all texts of a JSON document can be shown.

    Control sequences of a terminal cannot be shown, and neither can half of a character.
    """
    if isinstance(value, dict):
        return all(map(_is_printable, (*value, *value.values())))
    if isinstance(value, list):
        return all(map(_is_printable, value))
    return not isinstance(value, str) or value.isprintable()
