"""Follow docs/adding.md to the letter, in a scratch clone: ``python -m docs.follow``.

docs/adding.md shows everything that must be written for a case and for an operation. Each of its Python blocks begins
with a comment that names its file. This program writes the blocks to these files and runs the page's commands in the
TensorFlow environment. Then, in the Torch environment, it checks style and import contracts and runs every test that
depends on the cases: all of tests/torch, because only a whole run notices a case that no test claims, and the tests in
tests/golden that read PtychoPINN's cases. It stops at the first command that fails.

Both environments must exist (``make test``, ``make golden``). Only committed files are used.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import tempfile
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
TORCH, TENSORFLOW = (REPOSITORY / name / "bin" for name in (".venv-torch", ".venv-tensorflow"))
DOCUMENT, SECTIONS = "docs/adding.md", ("## Adding a case", "## Adding an operation")

_FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_GENERATE = "# in the TensorFlow environment\n"
_PLACE = re.compile(r"# (?P<path>[\w./]+\.py)(, in (?P<name>\w+))?\n")


@dataclass(frozen=True)
class Block:
    """Code of a document, the file that it belongs to, and, if the code is an entry of a tuple there, its name."""

    path: str
    name: str
    code: str


def main() -> None:
    for environment in (TORCH, TENSORFLOW):
        if not (environment / "python").exists():
            raise SystemExit(f"{environment}: no such environment; run make test and make golden")
    with tempfile.TemporaryDirectory(prefix="follow-") as scratch:
        clone = Path(scratch) / "ptycho-golden"
        subprocess.run(["git", "clone", "-q", str(REPOSITORY), str(clone)], check=True)
        for heading in SECTIONS:
            print(f"=== {DOCUMENT}: {heading.strip('# ')}", flush=True)
            section = section_of((clone / DOCUMENT).read_text(encoding="utf-8"), heading)
            for block in blocks(section):
                write(block, clone)
            tidy(clone)
            for command in commands(section):
                run(TENSORFLOW, command, clone)
            run(TORCH, "git add -A && git diff --cached --stat && git commit -qm followed", clone)
        run(TORCH, "ruff format --check . && ruff check . && lint-imports && golden verify", clone)
        run(TORCH, f"python -m pytest -q -n 2 {' '.join(tests(clone))}", clone)


def section_of(text: str, heading: str) -> str:
    """Return the text from a heading to the next one of its level."""
    _, found, rest = text.partition(f"\n{heading}\n")
    if not found:
        raise SystemExit(f"{DOCUMENT}: expected a section {heading!r}, found none")
    return rest.partition("\n## ")[0]


def fenced(section: str, language: str) -> Iterator[str]:
    return (textwrap.dedent(code) for _, found, code in _FENCE.findall(section) if found == language)


def blocks(section: str) -> list[Block]:
    """Return the Python blocks of a section; refuse one that does not name its file."""
    found = []
    for code in fenced(section, "python"):
        place = _PLACE.match(code)
        if place is None:
            raise SystemExit(f"expected a block that begins with '# FILE' or '# FILE, in TUPLE', found:\n{code}")
        found.append(Block(place["path"], place["name"] or "", code[place.end() :]))
    if not found:
        raise SystemExit(f"expected a Python block, found none in:\n{section}")
    return found


def commands(section: str) -> list[str]:
    """Return the commands for the TensorFlow environment. Those for the Torch environment are this program's own."""
    shown = [code.removeprefix(_GENERATE) for code in fenced(section, "sh") if code.startswith(_GENERATE)]
    if not shown:
        raise SystemExit(f"expected a shell block that begins with {_GENERATE!r}, found none in:\n{section}")
    return shown


def write(block: Block, clone: Path) -> None:
    """Write a block into its tuple, its new file, or its existing file (imports to the others, the rest to the end)."""
    path = clone / block.path
    path.parent.mkdir(exist_ok=True)
    if block.name:
        before, opening, after = path.read_text().partition(f"\n{block.name} = (\n")
        entries, closing, rest = after.partition("\n)\n")
        if not (opening and closing):
            raise SystemExit(f"{block.path}: expected a tuple {block.name}, found none")
        entry = textwrap.indent(block.code.rstrip("\n"), "    ")
        path.write_text(f"{before}{opening}{entries}\n{entry}{closing}{rest}")
    elif path.exists():
        imports, code = split(block.code)
        before, after = split(path.read_text())
        path.write_text(f"{before}{imports}{after.rstrip()}\n\n\n{code.strip()}\n")
    else:
        path.write_text(block.code)


def split(code: str) -> tuple[str, str]:
    """Split code after the last import at the top level."""
    lines = code.splitlines(keepends=True)
    ends = [node.end_lineno or 0 for node in ast.parse(code).body if isinstance(node, ast.Import | ast.ImportFrom)]
    end = max(ends, default=0)
    return "".join(lines[:end]), "".join(lines[end:])


def tidy(clone: Path) -> None:
    """Sort imports, as an editor does. All other style must be right in the document."""
    run(TORCH, "ruff check -q --select I --fix .", clone)


def tests(clone: Path) -> list[str]:
    """Return the tests that a new case or operation may break."""
    of_framework = sorted((clone / "tests" / "golden").glob("test_*.py"))
    return ["tests/torch", *(str(p.relative_to(clone)) for p in of_framework if "golden.ptychopinn" in p.read_text())]


def run(environment: Path, command: str, clone: Path) -> None:
    """Run a command in an environment, on the clone's code; end the program if it fails."""
    print(f"$ {command.strip()}", flush=True)
    identity = {
        f"GIT_{who}_{what}": "nobody@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    settings = os.environ | identity | {"PATH": f"{environment}:{os.environ['PATH']}", "PYTHONPATH": str(clone)}
    done = subprocess.run(["bash", "-ec", command], cwd=clone, env=settings, check=False)
    if done.returncode:
        raise SystemExit(f"exit status {done.returncode}: {command}")


if __name__ == "__main__":
    main()
