"""Parse an HTML page for the tests of reports."""

from __future__ import annotations

import base64
import io
import re
from html import unescape
from html.parser import HTMLParser

import numpy as np
from PIL import Image

_DRAWN = re.compile(r"<(svg|script|style|dialog)\b.*?</\1>", re.DOTALL)
_LINE = re.compile(r"</?(p|h[123]|li|dt|tr|pre|div|section|article|summary|header|figcaption|details|ul)\b[^>]*>")


def read(document: str) -> str:
    """Return the text of a page, a line for each block."""
    body = _DRAWN.sub("", document.split("<body>")[1])
    lines = (re.sub(r"\s+", " ", line).strip() for line in re.sub(r"<[^>]*>", " ", _LINE.sub("\0", body)).split("\0"))
    return unescape("\n".join(filter(None, lines))) + "\n"


def pictures(document: str, role: str) -> list[np.ndarray]:
    """Return the pictures of one side of a page, (H, W, 4) uint8 each."""
    found = re.findall(rf'src="data:image/webp;base64,([^"]+)"[^>]*alt="{role} of', document)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA")) for data in found]


class Tags(HTMLParser):
    """The tags of a page, with their attributes."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
