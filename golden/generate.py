"""Parse the generator's options and return its exit code; ``golden.generator.session`` does the work."""

from __future__ import annotations

from golden.interrupts import Interrupts, guard_loading, run

if __name__ == "__main__":
    guard_loading()  # before the imports below

import sys
import traceback
from pathlib import Path
from typing import NoReturn

import click

from golden.generator.session import (
    WRITERS,
    Outcome,
    Request,
    aftermath,
    confirm,
    cross_check,
    regenerate,
    state_of,
)
from golden.generator.worker import VARIANTS
from golden.report.console import console
from golden.report.text import case_list
from golden.spec.catalogue import load_cases, select
from golden.spec.errors import GoldenError
from golden.spec.references import module_of
from golden.store.checkout import CODE, checkout_of, choose

FIXTURES = CODE / "golden" / "fixtures"
CONTENT = "golden.ptychopinn"
"""The package of the bundled cases, which names its references."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("patterns", metavar="[CASE]...", nargs=-1)
@click.option("--except", "left_out", metavar="CASE", multiple=True, help="Leave these cases out. May be repeated.")
@click.version_option(package_name="ptycho-golden", prog_name="generate_golden.py")
@click.option("--list", "listing", is_flag=True, help="List the cases and exit.")
@click.option("--check", is_flag=True, help="Recompute and compare, but write nothing. This is the default.")
@click.option("--prove", is_flag=True, help="Also measure the noise and compute the faults again. Takes longer.")
@click.option("--update", is_flag=True, help="Rewrite the goldens that moved. Needs --reason.")
@click.option("--redraw", is_flag=True, help="With --update and CASE: draw new inputs for these cases.")
@click.option("--reason", metavar="TEXT", help="Why the goldens change. It is stored in the history of their entries.")
@click.option(
    "--weaken",
    metavar="TEXT",
    help="With --update: what gets weaker, in the words that 'golden gate' asks for, and why. It is stored in the "
    "history as well.",
)
@click.option("--yes", is_flag=True, help="In a terminal: write all goldens that moved, without asking.")
@click.option(
    "--keep-going",
    is_flag=True,
    help="With --update: write each golden as soon as it is proved, even if other cases fail.",
)
@click.option(
    "--report",
    "reports",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    multiple=True,
    help="Write a report of what moved: .md for a job summary, .html with pictures. May be repeated.",
)
@click.option(
    "--under",
    type=click.Choice(list(VARIANTS)),
    help="Recompute with other settings, which may only change rounding; write nothing.",
)
@click.option("--slow", is_flag=True, help="Also recompute slow cases that are not named.")
@click.option(
    "--fixtures",
    type=click.Path(path_type=Path, file_okay=False),
    default=FIXTURES,
    metavar="DIR",
    help="Directory of the goldens.  [default: golden/fixtures]",
)
@click.option(
    "--cases",
    "cases_module",
    default=CONTENT,
    metavar="MODULE",
    show_default=True,
    help="Module that declares the cases.",
)
@click.option(
    "--reference",
    default="tensorflow",
    metavar="NAME",
    show_default=True,
    help="The reference that computes: a module, or a short name. Bundled: 'tensorflow', our restatement of "
    "PtychoPINN; 'ptycho', PtychoPINN's own package, which must be installed.",
)
@click.option(
    "--cross-check",
    "other",
    metavar="NAME",
    help="Also compute with this reference, and compare both within each golden's tolerance; write nothing.",
)
@click.option(
    "--record",
    is_flag=True,
    help="With --cross-check: compare with the stored goldens. In the entry of each one that agrees, record the "
    "release that confirmed it. Goldens that this release has already confirmed are skipped unless "
    "named, so the next run continues this one.",
)
def main(
    patterns: tuple[str, ...],
    left_out: tuple[str, ...],
    listing: bool,
    check: bool,
    prove: bool,
    update: bool,
    redraw: bool,
    reason: str | None,
    weaken: str | None,
    yes: bool,
    keep_going: bool,
    reports: tuple[Path, ...],
    under: str | None,
    slow: bool,
    fixtures: Path,
    cases_module: str,
    reference: str,
    other: str | None,
    record: bool,
) -> None:
    """Recompute the goldens with TensorFlow from their stored inputs, and report what moved.

    CASE is a case's name or a glob pattern ('probe/*'); without it, all cases are recomputed. Without --update no
    golden is written. With --update, in a terminal, the program shows each change and asks about it. Differences are
    in units of the tolerance.

    \b
    Exit status: 0  nothing moved beyond noise (with --update: written; with --cross-check: both agree within tolerance)
                 1  something moved, is new, or is gone, and was not written (with --cross-check: they do not agree)
                 2  could not run
               130  interrupted with Ctrl-C
    """  # noqa: D301 - \b tells click not to wrap a paragraph
    here = checkout_of(Path.cwd())
    strange = [file for file in reports if file.suffix not in WRITERS]
    for wrong, message in (
        (update and check, "--check writes nothing and --update writes; give one of them"),
        (update and not (reason or "").strip(), "--update needs --reason TEXT: say why the goldens may change"),
        (reason and not update, "--reason goes with --update"),
        (weaken is not None and not (update and weaken.strip()), "--weaken TEXT goes with --update: say what and why"),
        (under and (update or other), "--under writes nothing; give it without --update and --cross-check"),
        (yes and not update, "--yes goes with --update"),
        (keep_going and not update, "--keep-going goes with --update"),
        (redraw and not (update and patterns), "--redraw goes with --update and names its cases"),
        (record and not other, "--record goes with --cross-check NAME"),
        (
            other and (update or prove or redraw or reports),
            "--cross-check writes no golden and proves nothing; give it without --update, --prove and --report",
        ),
        (
            update and fixtures == FIXTURES and checkout_of(FIXTURES) is None,
            f"--update needs --fixtures DIR: {FIXTURES} belongs to an installed package, not to a checkout",
        ),
        (
            fixtures == FIXTURES and here not in (None, CODE),
            f"this is the generator of {CODE}, but the current directory is in {here}: run python "
            f"{here}/generate_golden.py, or name the goldens with --fixtures DIR",
        ),
        (strange, f"--report {' '.join(map(str, strange))}: expected a file that ends in {' or '.join(WRITERS)}"),
    ):
        if wrong:
            raise click.UsageError(message)
    if remark := choose(fixtures, Path.cwd())[1]:
        click.echo(f"generate_golden.py: {remark}", err=True)
    sys.path.append(
        str(Path.cwd())
    )  # last, so that --cases and --reference find the current project but shadow nothing
    interrupts = Interrupts()
    before = state_of(fixtures)
    try:
        with interrupts.handled():
            cases = load_cases(cases_module)
            computes, compared = (module_of(name, cases_module, CONTENT) for name in (reference, other or reference))
            asked = Request(
                cases,
                fixtures,
                computes,
                patterns,
                left_out,
                slow=slow,
                prove=prove,
                redraw=redraw,
                reason=reason or "",
                weakens=weaken or "",
                yes=yes,
                keep_going=keep_going,
                reports=reports,
                under=under or "",
            )
            if listing:
                console().print(case_list([cases[name] for name in select(cases, patterns, left_out)]))
                outcome = Outcome.SETTLED
            else:
                outcome = (confirm if record else cross_check)(asked, compared) if other else regenerate(asked)
    except (Exception, KeyboardInterrupt) as problem:
        if interrupts.number or isinstance(problem, KeyboardInterrupt | click.Abort):
            _fail(f"interrupted; {aftermath(fixtures, before)}", interrupts.status)
        if isinstance(problem, GoldenError):
            _fail(str(problem))
        if isinstance(problem, OSError):
            _fail(f"{problem}; {aftermath(fixtures, before)}")
        traceback.print_exc()  # exit status 1 would mean that something moved
        _fail(f"this is a bug in the generator or in a case; {aftermath(fixtures, before)}")
    sys.exit(outcome)


def _fail(message: str, status: int = Outcome.FAILED) -> NoReturn:
    click.echo(f"generate_golden.py: {message}", err=True)
    sys.exit(status)


if __name__ == "__main__":
    run(lambda: main(prog_name="python -m golden.generate"))
