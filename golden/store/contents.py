"""The contents of a file before they are interpreted: arrays, attributes, texts that may be JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from golden.spec.arrays import Arrays


@dataclass(frozen=True)
class Contents:
    """The contents of an HDF5 file, not yet interpreted.

    Attributes:
        arrays: data of each dataset, by its path without the first slash (``outputs/mosaic``).
        attributes: of each object by its path, empty for the root: name -> value. A text is an array of bytes.
    """

    arrays: Arrays
    attributes: Mapping[str, Arrays]


def parse_json(text: str) -> Any:
    """Parse JSON, and refuse a key that appears twice, as it does after a careless merge.

    Raises:
        ValueError: it is not such JSON.
    """
    try:
        return json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError("a key of a JSON object appears twice")
    return table


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not valid JSON")
