"""Record the commands and output shown in docs/walk.md.

Runs every command in a fresh clone, in a terminal of its own, and writes down what it prints. Needs both environments
(``make test``, ``make golden``) and, for the pictures, Chromium.
"""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
DOCS = REPOSITORY / "docs"
TORCH, TENSORFLOW = ".venv-torch", ".venv-tensorflow"
PROMPT = "accept? y, n, a, b, s, q, ? "
REASON = "PtychoPINN 2.5: the hard mask is one pixel smaller"
PARITY = "tests/torch/test_probe_normalization_parity.py tests/torch/test_goldens.py -k probe"


@dataclass(frozen=True)
class Step:
    """A command, the text before it, and how many lines of its output are kept at the top and at the end."""

    text: str
    command: str
    environment: str = TORCH
    answers: tuple[str, ...] = ()
    head: int = 100
    tail: int = 0


STEPS = (
    Step(
        "## The reference changes\n\nSuppose that a release of PtychoPINN makes the hard mask of the probe one pixel "
        "smaller. In our reference, this is one constant:",
        "sed -i 's|< N // 4$|< N // 4 - 1|' golden/ptychopinn/probe/reference.py && git diff -U0",
        TENSORFLOW,
    ),
    Step(
        "## What moved\n\nIn the TensorFlow environment, the generator recomputes every golden from its stored "
        "inputs. Without `--update` it writes nothing. For each case that moved, it says how the new answer differs "
        "from the old one. It ends with exit status 1, so that CI fails:",
        "python generate_golden.py --report moved.html | grep -v identical; echo exit status ${PIPESTATUS[0]}",
        TENSORFLOW,
        head=20,
        tail=14,
    ),
    Step(
        "The masks lost their rim, so the mean modulus that normalises the probe fell. Each probe is now the old one "
        "times a factor, and so is each pattern that is predicted with it. `moved.html` shows this:\n\n![The first "
        "case of the page: a pattern before, after, and their difference](walk-report.png)\n\n*The filters and the "
        "list of cases are on the left. `j` and `k` go to the next and the previous case; `b` blinks between before "
        "and after.*\n\n## Accepting it, with a reason\n\nA golden that moved is proved again before it is written. "
        "Here the proof fails, so nothing is written:",
        f"python generate_golden.py --update --reason '{REASON}' 'probe/*'",
        TENSORFLOW,
        head=7,
        tail=3,
    ),
    Step(
        "`formulas.py` restates the mask, and `faults.py` replaces it with wrong ones. Both still use the old "
        "radius. Faults of the old convention prove nothing about the new one, so both files are corrected first:",
        "sed -i 's#< \\(N\\|len(probe)\\) // 4#& - 1#' golden/ptychopinn/probe/{formulas,faults}.py && git diff --stat",
        TENSORFLOW,
    ),
    Step(
        "Now the generator proves each golden and then asks whether to write it. It writes exactly what it showed. "
        "Here the first case is declined. The second one is shown as a page and then accepted:",
        f"python generate_golden.py --update --reason '{REASON}' probe/hard_mask_n64 probe/normalise_n64_beam",
        TENSORFLOW,
        answers=("n", "s", "y"),
    ),
    Step(
        "A declined case is reported again in every later run. The next command accepts all remaining cases without "
        "asking. It leaves out the two short runs: the new probe makes their training so unsteady that they need "
        "other settings, and the generator says so.",
        f"python generate_golden.py --update --yes --reason '{REASON}' --except 'run/*' | tail -2; "
        "git status --short | head -9",
        TENSORFLOW,
    ),
    Step(
        "## The reviewer reads\n\nThe hosting site shows the diff of the golden's entry: the reason first, then one "
        "line per array. The PNG beside each golden changed too, and the site's own image diff shows how. Here git "
        "prints the diff of one entry:",
        "git diff -U0 golden/fixtures/probe/normalise_n64_beam.json | cut -c1-118 | head -24",
    ),
    Step(
        "With the package installed, `golden diff` compares a revision with the working tree, two revisions, or two "
        "directories:",
        "golden diff HEAD --only probe/normalise_n64_beam --html review.html",
    ),
    Step(
        "![A probe before and after, histogram and line profiles](walk-probe.png)\n\nThe same page in a narrow "
        "window:\n\n![The same in a window of 500 pixels](walk-narrow.png)\n\n`golden verify` checks that goldens, "
        "entries and pictures agree. CI runs it too:",
        "golden verify && git commit -qam 'Goldens of PtychoPINN 2.5'",
    ),
    Step(
        "## The port fails, and says why\n\nIn the Torch environment, which has no TensorFlow:",
        f"pytest -q {PARITY} 2>&1 | grep -E '^E  |passed|^goldens'",
        head=12,
        tail=8,
    ),
    Step(
        "Only a change of the port makes these tests pass:",
        "sed -i 's|float(N // 4)|float(N // 4 - 1)|' ptycho_torch/operators/probe.py && git diff -U0 && "
        f"pytest -q {PARITY} | tail -1",
    ),
)


def main() -> None:
    lines = [
        "# A walkthrough: the reference changes",
        "",
        "This is a recorded session. A maintainer changes a constant of the reference, regenerates the goldens, looks",
        "at what changed, and accepts it with a reason. A reviewer reads the diff. Then the port fails and says why.",
        "[how-to.md](how-to.md) explains the terms and the options. `python -m docs.walk` records this page; `…`",
        "marks lines that are left out.",
        "",
    ]
    with tempfile.TemporaryDirectory(prefix="walk-") as scratch:
        clone = Path(scratch) / "ptycho-golden"
        subprocess.run(["git", "clone", "-q", str(REPOSITORY), str(clone)], check=True)
        for step in STEPS:
            print(f"$ {step.command}", file=sys.stderr)
            said = re.sub(r"/tmp/(pytest-of-[^/]+/pytest-\d+|golden-review-\w+)", "…", run(step, clone))
            said = said.replace(str(clone), "…").replace(scratch, "…")
            lines += [step.text, "", "```console", f"$ {step.command}", *kept(said.splitlines(), step), "```", ""]
        for name, page, size in (
            ("report", "moved", "1300,860"),
            ("probe", "review", "1300,1600"),
            ("narrow", "review", "500,1000"),
        ):
            picture(clone / f"{page}.html", DOCS / f"walk-{name}.png", size)
    (DOCS / "walk.md").write_text("\n".join(lines), encoding="utf-8")


def run(step: Step, clone: Path) -> str:
    """Return what a command prints in a terminal. Types the answers; repeats the last one at every further prompt."""
    user = {"GIT_AUTHOR_NAME": "a maintainer", "GIT_AUTHOR_EMAIL": "maintainer@example.org"}
    environment = (
        os.environ
        | user
        | {
            "PATH": f"{REPOSITORY / step.environment / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(clone),
            "GIT_COMMITTER_NAME": user["GIT_AUTHOR_NAME"],
            "GIT_COMMITTER_EMAIL": user["GIT_AUTHOR_EMAIL"],
            "GIT_PAGER": "cat",
            "TERM": "dumb",
            "COLUMNS": "120",
        }
    )
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        ["bash", "-c", step.command], cwd=clone, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    said, answered = "", 0
    while True:
        select.select([ours], [], [], 1)
        try:
            part = os.read(ours, 65536).decode(errors="replace")
        except OSError:  # the other end is closed
            break
        said += part
        if said.count(PROMPT) > answered:
            time.sleep(0.5)  # the generator discards keys typed before it asks, so that nobody accepts unseen
            os.write(ours, step.answers[min(answered, len(step.answers) - 1)].encode())
            answered += 1
    process.wait()
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said).replace("\r", "").strip("\n")


def kept(said: list[str], step: Step) -> list[str]:
    """Return the lines that the page shows, without trailing blanks."""
    said = [line.rstrip() for line in said]
    if len(said) <= step.head + step.tail:
        return said
    return [*said[: step.head], "…", *said[len(said) - step.tail :]]


def picture(page: Path, png: Path, size: str) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("the pictures of the walk need Chromium")
    common = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={size}"]
    subprocess.run([browser, *common, f"--screenshot={png}", page.as_uri()], check=True, capture_output=True)


if __name__ == "__main__":
    main()
