"""Recognise what version control or an editor made of a golden's file, and say what helps."""

from __future__ import annotations

import shlex

_LFS = b"version https://git-lfs"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CONFLICT = b"<<<<<<< "
_SIGNATURES = (b"\x89HDF\r\n\x1a\n", b"\x89PNG\r\n\x1a\n")
"""HDF5 and PNG begin so for this reason: whoever converts line ends changes these bytes."""

RECIPE = (
    "take all files of one side: git checkout --ours -- CASE.json CASE.h5 CASE.png (or --theirs); where the result is "
    "to hold both changes, let the generator answer: python generate_golden.py --update --reason ... CASE; then git add"
)
"""What to do about a merge that ended in a conflict."""


def recipe(stem: str, case: str) -> str:
    """Say what to do about a golden in conflict, in commands that can be copied.

    Args:
        stem: path of its files, from where a person stands, without their endings.
        case: its name.
    """
    stem, case = shlex.quote(stem), shlex.quote(case)
    return RECIPE.replace("CASE.", f"{stem}.").replace(" CASE;", f" {case};")


def what_happened(content: bytes) -> str:
    """Say what was done to a file, and what to do about it; "" where there is nothing of the kind.

    Args:
        content: of the file, or how it begins.
    """
    if content.startswith(_LFS):
        return "a Git LFS pointer, not the data; run 'git lfs pull'"
    if content.startswith(_BYTE_ORDER_MARK):
        return "it begins with a byte-order mark, which an editor wrote; restore it: git checkout -- FILE"
    if content.startswith(_CONFLICT) or b"\n" + _CONFLICT in content:
        return f"a merge conflict; {RECIPE}"
    for signature in _SIGNATURES:
        if content.startswith(signature):
            return ""
        if content.startswith(signature.replace(b"\r\n", b"\n")):
            return _converted("CR LF became LF, in the commit too, unless this happened on checkout")
        if content.startswith(signature.replace(b"\n", b"\r\n").replace(b"\r\r\n", b"\r\n")):
            return _converted("LF became CR LF")
    return ""


def _converted(how: str) -> str:
    return (
        f"its line ends were converted as if it were a text ({how}); let .gitattributes say '*.h5 binary' and "
        f"'*.png binary', delete the file, then: git checkout -- FILE, or from a commit before the conversion"
    )
