"""Find what a change of goldens weakens. What the files of one side tell by themselves, ``golden.store.verify`` says.

It compares entries, which say all that counts in short texts, and holds the files of every golden that was touched to
their entries. A golden's newest events, those that the base has not, may say what they weaken: then it was not unsaid.
No event can speak for what is gone, for a history that was rewritten, or for what judges the request itself: there a
person decides.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from golden.review.margins import MOST_DIFFERING
from golden.spec.case import Case
from golden.store.confirmation import confirmation, confirmed_by
from golden.store.entry import Entry
from golden.store.history import WEAKENS, Event
from golden.store.request import Request
from golden.store.sources import Entries
from golden.store.verify import verify_some

REPEATABLE = 2.0
"""Measured again, noise is within this factor of what it was: within noise is at most twice the floor."""
CONSTANTS = ("HEADROOM", "ENVELOPE_HEADROOM", "K", "ULP_RUNS", "KERNELS", "UNSTEADY", "MOST_UNSTEADY")
"""Numbers that decide how wide tolerances are, in ``CONSTANTS_FILE``."""
CONSTANTS_FILE = "golden/spec/operation.py"
WATCHED = {
    "the gate": (
        *(f"golden/review/{name}.py" for name in ("gate", "margins")),
        *(f"golden/store/{name}.py" for name in ("verify", "soundness", "history", "sources", "folder", "guard")),
        *(f"golden/judge/{name}.py" for name in ("compare", "tolerance", "proof")),
    ),
    "the workflow": (".github/workflows", ".ci"),
}
"""Files that judge a request, by what they are."""


_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Weakening:
    """One thing that gets weaker.

    Attributes:
        subject: the case, or what else it is.
        said: what gets weaker, a sentence without capital and full stop.
        words: what an event must name to say so; empty where no event can.
        excuse: what an event says of it; empty where none does.
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
        touched: cases of which a file differs.
        uncompared: what the base does not tell, a sentence each.
    """

    weakenings: tuple[Weakening, ...]
    touched: tuple[str, ...]
    uncompared: tuple[str, ...] = ()

    @property
    def unsaid(self) -> tuple[Weakening, ...]:
        return tuple(one for one in self.weakenings if not one.excuse)


def review(request: Request, cases: Mapping[str, Case], scratch: Path) -> Review:
    """Look at all that a request does to the goldens, and to what judges it.

    Args:
        request: what somebody asks to merge.
        cases: as the code that runs declares them, which need not be the code of either side.
        scratch: an empty directory, for files of a revision.
    """
    found = [*_of_files(request), *weakenings(request.before, request.after)]
    touched = sorted(case for case in request.touched if case in request.files)
    directory = request.checked_out(touched, scratch)
    found += [Weakening(case, said) for case, said in verify_some(directory, touched, cases)]
    return Review(tuple(found), tuple(sorted(request.touched)), request.uncompared)


def _of_files(request: Request) -> Iterator[Weakening]:
    for what, paths in WATCHED.items():
        if changed := request.files_changed(paths):
            yield Weakening(what, f"it judges requests, and this one changes it: {', '.join(changed)}")
    before, after = request.constants(CONSTANTS_FILE, CONSTANTS)
    for name in CONSTANTS if before else ():
        if before.get(name) != after.get(name):
            yield Weakening(name, f"was {before.get(name)}, is {after.get(name)} ({CONSTANTS_FILE})")


def weakenings(before: Entries, after: Entries) -> list[Weakening]:
    """Compare the entries of goldens that differ, by case."""
    found: list[Weakening] = []
    for case in sorted({*before, *after}):
        old, new = before.get(case), after.get(case)
        if new is None:
            found.append(Weakening(case, "the golden is gone"))
        elif isinstance(new, str):
            found.append(Weakening(case, f"its entry cannot be read: {new}"))
        elif old is not None and not isinstance(old, str):
            found += _of_entries(case, old, new)
    return found


def _of_entries(case: str, old: Entry, new: Entry) -> Iterator[Weakening]:
    events = _new_events(old["history"], new["history"])
    if events is None:
        yield Weakening(case, "its history was rewritten: that of the base is not the end of it")
    told = "; ".join(str(event[WEAKENS]) for event in events or () if event.get(WEAKENS))
    if old["content"] != new["content"] and not events:
        yield Weakening(case, "its content changed, and no event says why")
    for one in _weaker(case, old, new):
        yield replace(one, excuse=told) if one.words and {*one.words} <= {*_WORD.findall(told)} else one


def _new_events(old: Sequence[Event], new: Sequence[Event]) -> Sequence[Event] | None:
    """Return the events that the base has not; None where its own are not the older ones."""
    more = len(new) - len(old)
    return new[:more] if more >= 0 and [*new[more:]] == [*old] else None


def _weaker(case: str, old: Entry, new: Entry) -> Iterator[Weakening]:
    """Say what gets weaker, whether an event says it or not."""
    for name in sorted(old["outputs"]):
        if name not in new["outputs"]:
            yield Weakening(case, f"output {name!r} is gone", ("output", name))
        else:
            yield from _of_output(case, name, old["outputs"][name], new["outputs"][name])
    for fault in sorted(_caught(old) - _caught(new)):
        yield Weakening(case, f"fault {fault!r} is no longer caught", ("fault", fault))
    record = confirmation(old)
    if record is not None and confirmation(new) is None:
        yield Weakening(case, f"no longer confirmed, by {confirmed_by(record)} before", ("confirmation",))
    for what in ("producer", "provenance"):
        if old.get(what) != new.get(what) and (old["content"] == new["content"] or what == "producer"):
            yield Weakening(case, f"its {what} changed without its content: {_parts(old, new, what)}", (what,))


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
    for what, prefix in (("tolerance", ""), ("noise", "noise_")):
        factor = _factor(_line(old, prefix), _line(new, prefix))
        if factor > REPEATABLE:
            yield Weakening(case, f"the {what} of {name!r} grew {factor:.3g} times", (what,))
            break  # one follows from the other, or the golden is not sound
    before, after = _compared(old), _compared(new)
    if before - after > MOST_DIFFERING:
        yield Weakening(case, f"of {name!r} {after:.1%} of the elements are compared, {before:.1%} before", ("mask",))


def _line(output: Entry, prefix: str) -> tuple[float, float] | None:
    """Return a tolerance at zero and at the largest element, in units of that; None for an exact output."""
    atol, rtol = (output.get(f"{prefix}{key}") for key in ("atol", "rtol"))
    if not isinstance(atol, (int, float)) or not isinstance(rtol, (int, float)):
        return None
    ends = [output.get(key, 0.0) for key in ("largest", "min", "max")]
    scale = max((abs(end) for end in ends if isinstance(end, (int, float))), default=0.0) or 1.0
    return atol / scale, atol / scale + rtol


def _factor(old: tuple[float, float] | None, new: tuple[float, float] | None) -> float:
    """Return by how much a tolerance grew where it grew most."""
    if old is None or new is None:
        return 1.0
    return max(after / before if before else math.inf if after else 1.0 for before, after in zip(old, new))


def _compared(output: Entry) -> float:
    """Return the share of its elements that are compared."""
    said = str(output.get("compared", "1 of 1")).split(" of ")
    return int(said[0]) / int(said[1]) if len(said) == 2 and all(part.isdecimal() for part in said) else 0.0
