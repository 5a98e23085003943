"""Recognise how version control or an editor spoilt a golden's file, and say how to repair it."""

from __future__ import annotations

import shlex

_LFS = b"version https://git-lfs"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CONFLICT = b"<<<<<<< "
_SIGNATURES = (b"\x89HDF\r\n\x1a\n", b"\x89PNG\r\n\x1a\n")
"""The first bytes of HDF5 and PNG. A conversion of line ends changes them, which is their purpose."""

RECIPE = (
    "take all files of one side: git checkout --ours -- CASE.json CASE.h5 CASE.png (or --theirs); if the merged code "
    "has both changes, regenerate the golden: python generate_golden.py --update --reason ... CASE; then git add"
)
"""How to resolve a merge conflict in a golden."""


def recipe(stem: str, case: str) -> str:
    """Say how to resolve a conflict in a golden, in commands that can be copied.

    Args:
        stem: path of its files from the current directory, without suffix.
        case: its name.
    """
    stem, case = shlex.quote(stem), shlex.quote(case)
    return RECIPE.replace("CASE.", f"{stem}.").replace(" CASE;", f" {case};")


def what_happened(content: bytes) -> str:
    """Say how a file was spoilt, and how to repair it; "" if it shows no such damage.

    Args:
        content: of the file, or its beginning.
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
        f"its line ends were converted as if it were text ({how}); put '*.h5 binary' and '*.png binary' into "
        f".gitattributes, delete the file, then: git checkout -- FILE, or from a commit before the conversion"
    )
