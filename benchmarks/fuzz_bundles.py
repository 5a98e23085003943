"""Thousands of corrupt and hostile bundles read: ``python -m benchmarks.fuzz_bundles [N] [--seed S] [--kind KIND]``.

Exit status 1 when damage changes in silence what is read, when a bundle takes memory out of proportion, or raises
anything but a ValueError of one line that names the file. Kind and seed say which:
``python -m tests.torch.bundle_fuzzing KIND SEED`` shows it again.
"""

from __future__ import annotations

from benchmarks.fuzzing import fuzz_command
from tests.torch.bundle_fuzzing import BAD, KINDS, VERDICTS, read_one

main = fuzz_command("bundles", list(KINDS), VERDICTS, BAD, read_one)

if __name__ == "__main__":
    main()
