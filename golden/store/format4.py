"""Convert the contents of a golden from format 4, the previous one, to format 5.

Format 4 has no README, axes or units. It stores an output's tolerance as four unnamed numbers in ``@tolerance``, the
signed sums of a wrong output as four unnamed numbers too, and the table of faults as bytes. Both formats have
everything that a golden's content digest covers.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from golden.spec.arrays import digest_array
from golden.store.contents import Contents, parse_json

FORMAT = "ptycho-golden 4"
_TABLE = "proof/table"
_SUMS = ("first_real", "first_imaginary", "second_real", "second_imaginary")


def upgraded(contents: Contents, digest_length: int) -> Contents:
    """Convert contents of format 4.

    Args:
        contents: of a file of format 4; they need not be sound.
        digest_length: characters of a digest that a file stores.

    Raises:
        ValueError, LookupError, TypeError, AttributeError: they are not sound.
    """
    attributes = {path: dict(of) for path, of in contents.attributes.items()}
    table = contents.arrays[_TABLE]
    if digest_array(table)[:digest_length] != attributes[_TABLE]["sha256"].item().decode():
        raise ValueError("its table of faults does not match its SHA-256")
    proof: Any = parse_json(table.tobytes().decode())
    for fault in proof["caught"].values():
        for wrong in fault["outputs"].values():
            wrong["sums"] = dict(zip(_SUMS, wrong["sums"], strict=True))
    noise = proof["noise"] = {output: {"runs": runs} for output, runs in proof["noise"].items()}
    for path, of in attributes.items():
        if "tolerance" in of:
            of["atol"], of["rtol"], *line = of.pop("tolerance")
            noise.setdefault(path.removeprefix("outputs/"), {"runs": {}}).update(
                zip(("atol", "rtol"), line, strict=True)
            )
    text = np.array([json.dumps(proof).encode()])
    attributes[_TABLE]["sha256"] = np.array(digest_array(text)[:digest_length].encode())
    return Contents({**contents.arrays, _TABLE: text}, attributes)
