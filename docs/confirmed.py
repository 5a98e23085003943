"""Write into README.md how many goldens PtychoPINN's own package confirms: ``python -m docs.confirmed``."""

from __future__ import annotations

import re
from pathlib import Path

from golden.store.confirmation import counted
from golden.store.entry import read_entries

TOP = Path(__file__).resolve().parents[1]
README = TOP / "README.md"
SENTENCE = re.compile(r"^\d+ of \d+ goldens are confirmed.*\.$", re.MULTILINE)


def renewed(text: str) -> str:
    """Return the README's text, with the sentence updated from the entries."""
    sentence = counted(read_entries(TOP / "golden" / "fixtures")).replace("ptycho ", "PtychoPINN ")
    text, count = SENTENCE.subn(f"{sentence}.", text)
    assert count == 1, f"README.md: expected one line that matches {SENTENCE.pattern!r}, found {count}"
    return text


if __name__ == "__main__":
    README.write_text(renewed(README.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
