"""Turn what stands in a golden of format 4, the one before this, into what would stand in one of format 5.

Format 4 has no README, axes or units, keeps an output's tolerance as four numbers without names in ``@tolerance`` and
the signed sums of a wrong output likewise, and the table of faults as bytes. All that a golden's content digest covers
is in both.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from golden.spec.arrays import digest_array
from golden.store.contents import Contents, parse_json

FORMAT = "ptycho-golden 4"
_TABLE = "proof/table"
_TOLERANCE = ("atol", "rtol", "noise_atol", "noise_rtol")
_SUMS = ("first_real", "first_imaginary", "second_real", "second_imaginary")


def upgraded(contents: Contents, digest_length: int) -> Contents:
    """Give names to what has none.

    Args:
        contents: of a file of format 4; they need not be sound.
        digest_length: characters of a digest that a file keeps.

    Raises:
        ValueError, LookupError, TypeError, AttributeError: they are not sound.
    """
    attributes = {path: dict(of) for path, of in contents.attributes.items()}
    for of in attributes.values():
        if "tolerance" in of:
            of.update(zip(_TOLERANCE, of.pop("tolerance"), strict=True))
    table = contents.arrays[_TABLE]
    if digest_array(table)[:digest_length] != attributes[_TABLE]["sha256"].item().decode():
        raise ValueError("its table of faults does not match its SHA-256")
    text = np.array([_named(table.tobytes().decode()).encode()])
    attributes[_TABLE]["sha256"] = np.array(digest_array(text)[:digest_length].encode())
    return Contents({**contents.arrays, _TABLE: text}, attributes)


def _named(table: str) -> str:
    """Name the sums in the table of faults."""
    faults: Any = parse_json(table)
    for fault in faults["caught"].values():
        for wrong in fault["outputs"].values():
            wrong["sums"] = dict(zip(_SUMS, wrong["sums"], strict=True))
    return json.dumps(faults)
