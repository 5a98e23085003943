"""Read thousands of corrupt and hostile scans: ``python -m benchmarks.fuzz_scans [N] [--seed S] [--kind KIND]``.

The exit status is 1 if damage silently changes the contents, or if reading takes too much memory or raises anything but
a ValueError of one line that names the file. Kind and seed reproduce a corruption:
``python -m tests.torch.scan_fuzzing KIND SEED``.
"""

from __future__ import annotations

from benchmarks.fuzzing import fuzz_command
from tests.torch.scan_fuzzing import BAD, KINDS, VERDICTS, read_one

main = fuzz_command("scans and pictures", KINDS, VERDICTS, BAD, read_one)

if __name__ == "__main__":
    main()
