"""Recompute and prove single goldens with a reference, and write those that were accepted.

The reference is imported in other processes only (``worker``), and only once a case has to be computed.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from golden.generator.freeze import freeze
from golden.generator.worker import FROZEN, VARIANTS, Reference
from golden.report import thumbnail
from golden.report.text import shortened
from golden.review.difference import Change, Difference
from golden.review.margins import proof_moved
from golden.spec.arrays import Arrays
from golden.spec.case import Case
from golden.spec.errors import GoldenError
from golden.spec.operation import KERNELS, Operation
from golden.spec.references import described
from golden.store import gallery
from golden.store.confirmation import KEY, Record, confirmation, confirmed_by, release_of, value_of, with_confirmation
from golden.store.entry import Entry, entry_text, make_entry, read_entries
from golden.store.golden import Golden, golden_path, stored_cases
from golden.store.history import event, today
from golden.store.read import read_golden
from golden.store.update import Update, update
from golden.store.write import write_golden


class Regeneration:
    """One run of the generator over a fixtures directory. Use it in a ``with`` statement.

    Args:
        cases: every declared case.
        fixtures: the directory.
        reference: the module that computes.
        other: the module that ``cross_check`` compares it with.
        under: the name in ``VARIANTS`` of the settings to compute under; empty for the settings of frozen outputs.
    """

    def __init__(
        self, cases: Mapping[str, Case], fixtures: Path, reference: str, other: str = "", under: str = ""
    ) -> None:
        self._cases = cases
        self._fixtures = fixtures
        self._reference = reference
        self._against = other
        self._settings = VARIANTS.get(under, FROZEN)
        self._processes = ExitStack()
        self._started: dict[str, Reference] = {}
        self._computed: set[str] = set()

    def __enter__(self) -> Regeneration:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._processes.__exit__(*exc_info)  # type: ignore[arg-type]

    def _start(self, module: str, settings: Mapping[str, str]) -> Reference:
        return self._processes.enter_context(Reference(module, settings))

    def _load(self, module: str) -> Reference:
        reference = self._start(module, self._settings)
        reference.provenance()  # waits until it is loaded, so that loading is not part of any case's time
        return reference

    @cached_property
    def _asked(self) -> Reference:
        return self._load(self._reference)

    @cached_property
    def _other(self) -> Reference:
        return self._load(self._against)

    @cached_property
    def _backing(self) -> Reference:
        """The reference for noise, faults, and outputs that the requested one cannot compute; usually the same one."""
        module = self._asked.backing()
        return self._load(module) if module else self._asked

    def _variants(self, operation: Operation) -> dict[str, Reference]:
        """Return references under the settings that measure this operation's noise; start those not yet running."""
        return {name: self._variant(name) for name in VARIANTS if operation.kernels_matter or name not in KERNELS}

    def _variant(self, name: str) -> Reference:
        if name not in self._started:
            self._started[name] = self._start(self._backing.module, VARIANTS[name])
        return self._started[name]

    def _source_of(self, case: Case) -> Reference:
        """Choose the reference whose outputs this case's golden holds."""
        self._computed.add(case.name)
        return self._backing if self._asked.missing(case.operation) else self._asked

    @cached_property
    def entries(self) -> dict[str, Entry]:
        """The entries of all goldens, by case."""
        return read_entries(self._fixtures)

    @cached_property
    def names(self) -> frozenset[str]:
        """Every case that is declared, or has a golden or an entry."""
        return frozenset(self._cases) | stored_cases(self._fixtures) | frozenset(self.entries)

    def inspect(self, name: str) -> Difference:
        """Find what can be found without computing: a difference, whose ``change`` may be None."""
        if name not in self._cases:
            return Difference(name, Change.GONE)
        case = self._cases[name]
        found = Difference(name, path=case.operation.path)
        if name not in stored_cases(self._fixtures):
            return replace(found, change=Change.NEW)
        try:
            golden = read_golden(golden_path(self._fixtures, name))
            if set(golden.inputs) | set(golden.derived) != set(case.operation.inputs):
                said = f"its operation now takes the inputs {', '.join(case.operation.inputs)}"
                return replace(found, change=Change.REDEFINED, notes=(said,))
            inputs = golden.complete_inputs(case)
        except GoldenError as problem:
            return replace(found, change=Change.UNREADABLE, notes=(str(problem),))
        if case.definition_digest(inputs) != golden.definition:
            return replace(found, change=Change.REDEFINED, notes=(_redefined(case, golden),))
        try:
            if not _same(golden, golden.in_words_of(case, inputs)):
                return replace(found, change=Change.REWRITTEN)
        except GoldenError as problem:
            return failed(found, problem)
        if self.entries.get(name, {}).get("content") != golden.content_digest():
            return replace(found, change=Change.UNLISTED)
        return found

    def check(self, name: str) -> Difference:
        """Recompute one golden from its stored inputs and compare."""
        found = self.inspect(name)
        if found.change not in (None, Change.UNLISTED):
            return found
        return self._with_picture(self._recomputed(found, self._source_of(self._cases[name])))

    def _recomputed(self, found: Difference, reference: Reference) -> Difference:
        """Compute a golden's outputs with a reference from the stored inputs, to compare them with the stored ones."""
        case, golden = self._cases[found.case], read_golden(golden_path(self._fixtures, found.case))
        inputs = golden.complete_inputs(case)
        started = time.perf_counter()
        try:
            outputs = case.operation.kept(reference.evaluate(case.operation, inputs, case.parameters))
        except GoldenError as problem:
            return failed(found, problem)
        seconds = time.perf_counter() - started
        return replace(found, before=golden, after=replace(golden, outputs=outputs), seconds=seconds)

    def _with_picture(self, found: Difference) -> Difference:
        """Check the picture too, if the golden itself needs no attention."""
        golden = found.before
        if found.moved or golden is None:
            return found
        listed = self.entries.get(golden.case, {}).get("picture", {})
        if gallery.problems(golden, listed, self._fixtures):
            return replace(found, change=Change.PICTURE, after=golden)
        return found

    def cross_check(self, name: str) -> Difference:
        """Compute one golden's outputs with both references, and compare them within the golden's tolerance."""
        found = self.inspect(name)
        if found.change is not None:
            return found
        case, golden = self._cases[name], read_golden(golden_path(self._fixtures, name))
        references = (self._asked, self._other)
        for reference in references:
            if unanswered := _unanswered(found, case, reference):
                return unanswered
        inputs = golden.complete_inputs(case)
        started = time.perf_counter()
        try:
            expected, others = (
                case.operation.kept(reference.evaluate(case.operation, inputs, case.parameters))
                for reference in references
            )
        except GoldenError as problem:
            return failed(found, problem)
        seconds = time.perf_counter() - started
        # If the first reference returns another shape than the golden's, the golden's mask does not apply.
        where = {output: mask for output, mask in golden.where.items() if mask.shape == expected[output].shape}
        before, after = replace(golden, outputs=expected, where=where), replace(golden, outputs=others)
        return replace(found, before=before, after=after, seconds=seconds)

    def crossed(self) -> tuple[str, str]:
        """Name the two references of a cross-check, for a person."""
        return described(self._asked.provenance()), described(self._other.provenance())

    @cached_property
    def _release(self) -> Record:
        return release_of(self._asked.provenance())

    def release(self) -> str:
        """Name the reference, for a person.

        Raises:
            GoldenError: it is not a release that a record could name.
        """
        return confirmed_by(self._release)

    def confirm(self, name: str, again: bool) -> Difference:
        """Compute one golden's outputs with the reference, compare them with the stored ones, and record agreement.

        Args:
            name: a declared case, or one that has a golden.
            again: compute even if this release has already confirmed it.
        """
        found = self.inspect(name)
        if found.change is not None:
            return found
        record = confirmation(self.entries[name])
        if not again and record is not None and self._release.items() <= record.items():
            return replace(found, change=Change.CONFIRMED)
        unanswered = _unanswered(found, self._cases[name], self._asked)
        found = unanswered or self._recomputed(found, self._asked)
        self._record(found)
        return found

    def _record(self, found: Difference) -> None:
        """Record in an entry that its golden is confirmed, or remove a record that belongs to other values.

        A record of this release is kept. A record of another release is replaced if this release agrees.
        """
        entry = self.entries[found.case]
        record = confirmation(entry)
        is_new = record is None or not self._release.items() <= record.items()
        if found.change is None and found.agrees and is_new:
            record = {
                **self._release,
                "tensorflow": self._asked.provenance().get("tensorflow", "-"),
                "date": today(),
                "share": float(f"{found.share:.1e}"),
                "value": value_of(entry),
            }
        recorded = with_confirmation(entry, record)
        if recorded != entry:
            with update(self._fixtures) as change:
                _write_entry(change, found.case, recorded)
            self.entries[found.case] = recorded

    def check_proof(self, name: str) -> Difference:
        """Prove a golden again, from its stored inputs, and compare outputs, noise and faults."""
        found = self.inspect(name)
        if found.change is not None:
            return found
        before = read_golden(golden_path(self._fixtures, name))
        self.load([name])
        started = time.perf_counter()
        try:
            after = self.prove(name)
        except GoldenError as problem:
            return failed(found, problem)
        found = replace(found, before=before, after=after, seconds=time.perf_counter() - started)
        if proof_moved(before, after) and not found.moved:
            found = replace(found, change=Change.REPROVED)
        return self._with_picture(found)

    def load(self, names: Iterable[str]) -> None:
        """Start every reference that these cases' proofs need, so that a failing start is not blamed on a case."""
        self._backing.provenance()
        for name in names:
            for reference in self._variants(self._cases[name].operation).values():
                reference.provenance()

    def stored(self, name: str) -> Golden | None:
        """Read the stored golden; None if there is none, or if it cannot be read."""
        with suppress(GoldenError):
            return read_golden(golden_path(self._fixtures, name))
        return None

    def prove(self, name: str, redraw: bool = False) -> Golden:
        """Make a golden: freeze the outputs, measure the noise, refuse what proves nothing.

        Args:
            name: a declared case.
            redraw: draw new inputs even if the golden has some.
        """
        case = self._cases[name]
        draw, stored = self._stored_inputs(case, redraw)
        golden = freeze(case, draw, stored, self._source_of(case), self._backing, self._variants(case.operation))
        missing = self._asked.missing(case.operation)
        if missing:
            instead = f"{described(self._asked.provenance())}: {missing}"
            golden = replace(golden, provenance={**golden.provenance, "instead_of": instead})
        return golden

    def rewrite(self, name: str) -> Golden:
        """Return the same golden in the newest format, with its case's texts; nothing is computed.

        Raises:
            GoldenError: it cannot be read, or an array does not have as many axes as its case declares.
        """
        golden, case = read_golden(golden_path(self._fixtures, name)), self._cases[name]
        return golden.in_words_of(case, golden.complete_inputs(case))

    def remarks(self) -> list[str]:
        """List cases computed with another reference than was requested, or than made their goldens."""
        told: dict[str, list[str]] = {}
        for name in sorted(self._computed):
            case = self._cases[name]
            answered = described(self._source_of(case).provenance())
            missing = self._asked.missing(case.operation)
            if missing:
                asked = described(self._asked.provenance())
                said = f"{asked} cannot compute {case.operation.name} ({missing}); computed with {answered}"
                told.setdefault(said, []).append(name)
            entry = self.entries.get(name)
            before = described(entry.get("provenance", {})) if entry else answered
            if before != answered:
                told.setdefault(f"made with {before}, recomputed with {answered}", []).append(name)
        return [f"{said}: {shortened(names)}" for said, names in told.items()]

    def _stored_inputs(self, case: Case, redraw: bool) -> tuple[int, Arrays]:
        if redraw and not case.operation.inputs:
            raise GoldenError(f"case {case.name}: it has no inputs to draw; leave out --redraw")
        if redraw:
            # The file or the history may be lost, but no earlier draw may be repeated.
            number = len(self.entries.get(case.name, {}).get("history", []))
            with suppress(GoldenError):
                number = max(number, read_golden(golden_path(self._fixtures, case.name)).draw + 1)
            return number, case.draw_inputs(number)
        if case.name not in stored_cases(self._fixtures):
            return 0, case.draw_inputs(0)
        golden = read_golden(golden_path(self._fixtures, case.name))
        wanted = set(case.operation.inputs)
        if set(golden.inputs) | set(golden.derived) != wanted:
            raise GoldenError(
                f"case {case.name}: its golden stores the inputs {sorted(golden.inputs)}, but the operation now takes "
                f"{sorted(wanted)}; draw new inputs with --redraw"
            )
        return golden.draw, golden.inputs

    def write(self, rows: Iterable[Difference], reason: str, weakens: str = "") -> None:
        """Write what was computed and remove what is gone.

        Args:
            rows: of cases that are gone, or whose ``after`` was proved.
            reason: for the history of their entries.
            weakens: what gets weaker and why, also for the history.
        """
        with update(self._fixtures) as change:
            for row in rows:
                if row.after is None:
                    change.remove(row.case)
                else:
                    self._stage(change, row.before, row.after, reason, weakens)

    def _stage(self, change: Update, before: Golden | None, after: Golden, reason: str, weakens: str) -> None:
        """Stage a golden if it changed, its picture if it shows something else, and its entry."""
        entry = self.entries.get(after.case)
        same = before is not None and before.content_digest() == after.content_digest()
        unchanged = before is not None and _same(before, after)
        golden = before if before is not None and unchanged else after
        if not unchanged:
            staged = change.path_for(golden.case, "h5")
            write_golden(staged, golden)
            if read_golden(staged).content_digest() != golden.content_digest():
                raise GoldenError(f"case {golden.case}: the written file does not read back as the same golden")
        picture = renewed_picture(golden, (entry or {}).get("picture", {}), self._fixtures, change)
        listed = entry is not None and entry["content"] == golden.content_digest()
        rewritten = same and not unchanged
        history = entry["history"] if entry is not None else []
        if rewritten or not listed:
            before = entry["content"] if entry is not None else None
            history = [event(reason, golden.provenance, before, golden.content_digest(), weakens), *history]
        _write_entry(change, golden.case, make_entry(golden, history, picture, (entry or {}).get(KEY)))


def _write_entry(change: Update, case: str, entry: Entry) -> None:
    change.path_for(case, "json").write_text(entry_text(entry), encoding="utf-8", newline="\n")


def _unanswered(found: Difference, case: Case, reference: Reference) -> Difference | None:
    """Return a difference with the reason why a reference cannot compute a case; None if it can."""
    missing = reference.missing(case.operation)
    if not missing:
        return None
    said = f"{described(reference.provenance())} cannot compute {case.operation.name} ({missing}); not compared"
    return replace(found, change=Change.UNANSWERED, notes=(said,))


def failed(found: Difference, problem: GoldenError) -> Difference:
    """Return a difference with the reason why a case could not be computed or proved."""
    said = str(problem)
    named = said if said.startswith(f"case {found.case}:") else f"case {found.case}: {said}"
    return replace(found, change=Change.FAILED, notes=(named,))


def renewed_picture(golden: Golden, listed: Mapping[str, str], fixtures: Path, change: Update) -> dict[str, str]:
    """Draw a golden's picture as part of an update, unless it still shows the same; return its record for the entry.

    Args:
        golden: the new one.
        listed: the picture's record in the old entry; empty if there was no picture.
        fixtures: the directory.
        change: the update.
    """
    if not gallery.outputs_shown(golden):
        return {}
    if listed.get("drawn_from") == gallery.drawn_from(golden) and not gallery.problems(golden, listed, fixtures):
        return dict(listed)
    staged = change.path_for(golden.case, "png")
    thumbnail.draw(golden, staged)
    return gallery.picture_entry(golden, staged)


def _same(one: Golden, other: Golden) -> bool:
    return one.content_digest() == other.content_digest() and one.lies_like(other)


def _redefined(case: Case, golden: Golden) -> str:
    """Describe how a case changed since its golden was made, as far as the golden shows it."""
    declared, stored = {output.name for output in case.operation.outputs}, set(golden.outputs)
    faults, proved = {fault.name for fault in case.operation.faults}, {*golden.faults, *golden.invisible}
    parts = [
        f"{what} {', '.join(sorted(names))}"
        for what, names in (
            ("new outputs:", declared - stored),
            ("removed outputs:", stored - declared),
            ("new faults:", faults - proved),
            ("removed faults:", proved - faults),
        )
        if names
    ]
    if dict(case.parameters) != dict(golden.parameters):
        parts.append(f"parameters: {dict(golden.parameters)}, now {dict(case.parameters)}")
    return "; ".join(parts) or "terms, masks or invisible faults changed"
