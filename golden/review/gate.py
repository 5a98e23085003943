"""Find what a change of goldens weakens. Problems within one side are for ``golden.store.verify``.

The gate compares entries, which are short and list all that matters, and checks the files of every touched golden
against its entry. The events that the base does not have may say what they weaken; a weakening that none of them names
is *unsaid*. No event can excuse a removed golden, a rewritten history, or a change of what judges the request: there a
person decides.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from golden.review import declared
from golden.review.confirmations import confirmations_claimed
from golden.review.margins import MOST_DIFFERING
from golden.spec.case import Case
from golden.spec.errors import GoldenError
from golden.store import gallery
from golden.store.confirmation import KEY, confirmation, confirmed_by, is_rewritten
from golden.store.entry import Entry
from golden.store.folder import printable
from golden.store.golden import Golden, golden_path
from golden.store.guard import read_untrusted
from golden.store.history import WEAKENS, Event
from golden.store.request import Request
from golden.store.sources import Entries
from golden.store.verify import verify_some

REPEATABLE = 2.0
"""Noise that is measured again stays within this factor; the verdict "within noise" allows twice the noise."""
CONSTANTS = ("HEADROOM", "ENVELOPE_HEADROOM", "K", "ULP_RUNS", "KERNELS", "UNSTEADY", "MOST_UNSTEADY")
"""Numbers that decide how wide tolerances are, in ``CONSTANTS_FILE``."""
CONSTANTS_FILE = "golden/spec/operation.py"
_MAY_GROW = {"tolerance": math.log2(REPEATABLE), "noise": math.log2(REPEATABLE), "mask": MOST_DIFFERING}
"""By how much (``_growth``) the check of an output may weaken unsaid."""
_ROUNDING = 1e-3
"""Numbers in entries have three digits."""
_SETTINGS = ("pyproject.toml", "ptycho_torch/pyproject.toml")
_CASE = "golden/spec/case.py"
WATCHED = {
    "the gate": (
        *("golden/spec", "golden/judge", "golden/store", "golden/review", "golden/report/gate.py", "golden/cli.py"),
        *("golden/__init__.py", "golden/__main__.py", "golden/interrupts.py"),
    ),
    "the proof": ("golden/generator", "golden/generate.py", "generate_golden.py", "tests/tensorflow.ini"),
    "the suite": (
        *("golden/testing", "golden/pytest_plugin.py", "tests/torch/subject", "**/conftest.py"),
        *("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "tox.ini", "setup.cfg"),
    ),
    "the workflow": (".github/workflows", ".ci", "Makefile", "**/.gitattributes"),
}
"""Files that judge a request, by what they are part of. Git's attributes decide what a diff shows of an entry."""
_TESTS = "tests"

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Weakening:
    """One thing that gets weaker.

    Attributes:
        subject: the case, or the name of a file, a group of files, or a setting.
        said: what gets weaker, a sentence without capital and full stop.
        words: what an event must name to excuse it; empty if no event can.
        excuse: what an event says about it; empty if none does.
    """

    subject: str
    said: str
    words: tuple[str, ...] = ()
    excuse: str = ""


@dataclass(frozen=True)
class Review:
    """What the gate found.

    Attributes:
        weakenings: what gets weaker, said or unsaid.
        touched: cases with a file that differs.
        uncompared: what could not be compared, a sentence each.
        unproved: what the request claims and no file can prove, a sentence each.
    """

    weakenings: tuple[Weakening, ...]
    touched: tuple[str, ...]
    uncompared: tuple[str, ...] = ()
    unproved: tuple[str, ...] = ()

    @property
    def unsaid(self) -> tuple[Weakening, ...]:
        return tuple(one for one in self.weakenings if not one.excuse)


Look = Callable[[Golden, bytes], str]
"""Returns how a picture's bytes differ from a fresh drawing of the golden; an empty text if they do not."""


def review(request: Request, module: str, cases: Mapping[str, Case], scratch: Path, look: Look) -> Review:
    """Review everything that a request changes in the goldens, and in what judges it.

    Args:
        request: what somebody asks to merge.
        module: the module that declares the cases.
        cases: as the running code declares them, which need not be the code of either side.
        scratch: an empty directory, for files of a revision.
        look: compares a picture with a fresh drawing.
    """
    found = [*_of_files(request, module), *weakenings(request.before, request.after, request.earlier)]
    touched = sorted(case for case in request.touched if case in request.files)
    directory = request.checked_out(touched, scratch)
    unsound = [Weakening(case, said) for case, said in verify_some(directory, touched, cases)]
    told = {one.subject for one in unsound}
    drawn = [case for case in touched if case not in told and gallery.picture_path(directory, case).is_file()]
    found += unsound
    uncompared = [*request.uncompared]
    try:
        found += [*_other_pictures(directory, drawn, look)]
    except GoldenError as missing:
        uncompared.append(f"pictures: {missing}")
    claimed = confirmations_claimed(request.before, request.after)
    return Review(tuple(found), tuple(sorted(request.touched)), tuple(uncompared), tuple(claimed))


def _other_pictures(directory: Path, cases: Sequence[str], look: Look) -> Iterator[Weakening]:
    """Draw sound goldens again, because an entry and its picture may have been forged together."""
    for case, golden in zip(cases, read_untrusted([golden_path(directory, case) for case in cases])):
        if isinstance(golden, Golden) and (said := look(golden, gallery.read_picture(directory, case))):
            yield Weakening(case, said)


def _of_files(request: Request, module: str) -> Iterator[Weakening]:
    for what, paths in WATCHED.items():
        if changed := request.files_changed(paths):
            yield Weakening(
                what, f"it judges requests, and this request changes it: {', '.join(map(printable, changed))}"
            )
    before, after = (declared.constants(text, CONSTANTS) for text in request.texts(CONSTANTS_FILE))
    yield from _changed(before, after, CONSTANTS_FILE)
    for path in _SETTINGS:
        before, after = (declared.suite_settings(text) for text in request.texts(path))
        yield from _changed(before, after, path)
    yield from _of_tests(request)
    place = module.replace(".", "/")
    for path in request.files_changed((place, f"{place}.py", _CASE)):
        old, new = (declared.slow_cases(text) for text in request.texts(path))
        for said in sorted((new - old).elements()):
            yield Weakening(
                printable(path), f"declares {said}: neither the suite nor a recomputation runs it unless asked to"
            )


def _of_tests(request: Request) -> Iterator[Weakening]:
    """Return the test files that are gone, and those that check the port against goldens and changed."""
    for path in request.files_changed((_TESTS,)):
        old, new = request.texts(path) if path.endswith(".py") else ("", "")
        if old and not new.strip():
            yield Weakening(printable(path), "its tests were removed")
        elif declared.takes_goldens(old) or declared.takes_goldens(new):
            yield Weakening(printable(path), "it checks the port against goldens, and this request changes it")


def _changed(before: Mapping[str, str], after: Mapping[str, str], where: str) -> Iterator[Weakening]:
    for name in sorted({*before, *after}) if before else ():
        if before.get(name) != after.get(name):
            yield Weakening(name, f"was {before.get(name)}, is {after.get(name)} ({where})")


def weakenings(
    before: Entries, after: Entries, earlier: Callable[[str], Iterable[Entry]] = lambda case: ()
) -> list[Weakening]:
    """Compare the entries of goldens that differ, by case.

    Args:
        before: the older ones.
        after: the newer ones.
        earlier: returns the versions of an entry before the older one, newest first.
    """
    found: list[Weakening] = []
    for case in sorted({*before, *after}):
        old, new = before.get(case), after.get(case)
        if new is None:
            found.append(Weakening(case, "the golden is gone"))
        elif isinstance(new, str):
            found.append(Weakening(case, f"its entry cannot be read: {new}"))
        elif old is not None and not isinstance(old, str):
            found += _of_entries(case, old, new, earlier)
    return found


def _of_entries(case: str, old: Entry, new: Entry, earlier: Callable[[str], Iterable[Entry]]) -> Iterator[Weakening]:
    events = _new_events(old["history"], new["history"])
    if events is None:
        yield Weakening(case, "its history was rewritten: it does not end with that of the base")
    told = _told(events or ())
    if old["content"] != new["content"] and not events:
        yield Weakening(case, "its content changed, and no event says why")
    for one in [*_weaker(case, old, new), *_weaker_in_steps(case, old, new, earlier)]:
        yield replace(one, excuse=told) if one.words and {*one.words} <= {*_WORD.findall(told)} else one


def _told(events: Sequence[Event]) -> str:
    """Join what events say that they weaken."""
    return "; ".join(str(event[WEAKENS]) for event in events if event.get(WEAKENS))


def _new_events(old: Sequence[Event], new: Sequence[Event]) -> Sequence[Event] | None:
    """Return the events that the base does not have; None if the base's own are not the older ones."""
    more = len(new) - len(old)
    return new[:more] if more >= 0 and [*new[more:]] == [*old] else None


def _weaker(case: str, old: Entry, new: Entry) -> Iterator[Weakening]:
    """Find what gets weaker, said or unsaid."""
    for name in sorted(old["outputs"]):
        if name not in new["outputs"]:
            yield Weakening(case, f"output {name!r} is gone", ("output", name))
        else:
            yield from _of_output(case, name, old["outputs"][name], new["outputs"][name])
    for fault in sorted(_caught(old) - _caught(new)):
        yield Weakening(case, f"fault {fault!r} is no longer caught", ("fault", fault))
    record, newer = confirmation(old), confirmation(new)
    if record is not None and newer is None:
        yield Weakening(case, f"no longer confirmed (previously by {confirmed_by(record)})", ("confirmation",))
    elif record is not None and newer is not None and is_rewritten(record, newer):
        said = f"the record of its confirmation by {confirmed_by(record)} was rewritten: {_parts(old, new, KEY)}"
        yield Weakening(case, f"{said}; restore it, because the generator never changes a record")
    for what in ("producer", "provenance"):
        if old.get(what) != new.get(what) and (old["content"] == new["content"] or what == "producer"):
            yield Weakening(case, f"its {what} changed, but its content did not: {_parts(old, new, what)}", (what,))


def _parts(old: Entry, new: Entry, what: str) -> str:
    one, other = old.get(what), new.get(what)
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return f"{one!r}, now {other!r}"
    keys = sorted(key for key in {*one, *other} if one.get(key) != other.get(key))
    return ", ".join(f"{key} {one.get(key)}, now {other.get(key)}" for key in keys)


def _caught(entry: Entry) -> set[str]:
    faults = entry.get("faults")
    return {name for name, of in faults.items() if "invisible" not in of} if isinstance(faults, dict) else set()


def _of_output(case: str, name: str, old: Entry, new: Entry) -> Iterator[Weakening]:
    if "tolerance" in old and "tolerance" not in new:
        yield Weakening(case, f"output {name!r} is no longer exact", ("tolerance",))
    for what in _first_told({what for what in _MAY_GROW if _too_much(what, old, new)}):
        yield Weakening(case, _grown(what, name, old, new), (what,))


def _weaker_in_steps(
    case: str, old: Entry, new: Entry, earlier: Callable[[str], Iterable[Entry]]
) -> Iterator[Weakening]:
    """Find what grew too much over several requests, although each step was small enough to be unsaid.

    The steps are followed back to the last one that an event named, or that a person let pass.
    """
    growing = {
        (name, what)
        for name, output in new["outputs"].items()
        for what in _MAY_GROW
        if name in old["outputs"] and _ROUNDING < _growth(what, old["outputs"][name], output) <= _MAY_GROW[what]
    }
    newer = old
    for older in earlier(case) if growing else ():
        words = _WORD.findall(_told(_new_events(older["history"], newer["history"]) or ()))
        for name, what in sorted(growing, reverse=True):  # a tolerance before its noise
            if (name, what) not in growing:
                continue
            one, other, last = (entry["outputs"].get(name) for entry in (older, newer, new))
            is_decided = not (one and other) or _too_much(what, one, other) or what in words
            if is_decided or _too_much(what, one, last):
                growing -= {(name, what), (name, "noise" if what == "tolerance" else what)}
            if not is_decided and _too_much(what, one, last):
                since = f"in steps since {older['history'][0]['date']}"
                yield Weakening(case, f"{_grown(what, name, one, last)}, {since}", (what,))
        newer = older


def _first_told(grown: Collection[str]) -> list[str]:
    """Leave the noise out if the tolerance is reported: one follows from the other, or the golden is not sound."""
    return sorted(what for what in grown if what != "noise" or "tolerance" not in grown)


def _too_much(what: str, old: Entry, new: Entry) -> bool:
    return _growth(what, old, new) > _MAY_GROW[what]


def _growth(what: str, old: Entry, new: Entry) -> float:
    """Return by how much the check of an output weakens: the logarithm of a factor, or a share of its elements."""
    if what == "mask":
        return _compared(old) - _compared(new)
    prefix = "" if what == "tolerance" else "noise_"
    return math.log2(factor) if (factor := _factor(_line(old, prefix), _line(new, prefix))) else -math.inf


def _grown(what: str, name: str, old: Entry, new: Entry) -> str:
    if what == "mask":
        return f"{_compared(new):.1%} of the elements of {name!r} are compared, {_compared(old):.1%} before"
    return f"the {what} of {name!r} grew by a factor of {2 ** _growth(what, old, new):.3g}"


def _line(output: Entry, prefix: str) -> tuple[float, float] | None:
    """Return a tolerance at zero and at the largest element, in units of that element; None for an exact output."""
    atol, rtol = (output.get(f"{prefix}{key}") for key in ("atol", "rtol"))
    if not isinstance(atol, (int, float)) or not isinstance(rtol, (int, float)):
        return None
    ends = [output.get(key, 0.0) for key in ("largest", "min", "max")]
    scale = max((abs(end) for end in ends if isinstance(end, (int, float))), default=0.0) or 1.0
    return atol / scale, atol / scale + rtol


def _factor(old: tuple[float, float] | None, new: tuple[float, float] | None) -> float:
    """Return the factor by which a tolerance grew where it grew most."""
    if old is None or new is None:
        return 1.0
    return max(after / before if before else math.inf if after else 1.0 for before, after in zip(old, new))


def _compared(output: Entry) -> float:
    """Return the share of its elements that are compared."""
    said = str(output.get("compared", "1 of 1")).split(" of ")
    return int(said[0]) / int(said[1]) if len(said) == 2 and all(part.isdecimal() for part in said) else 0.0
