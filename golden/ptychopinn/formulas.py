"""The operations restated in NumPy, as a subject: ``golden check golden.ptychopinn.formulas``.

There is a function for every operation that has a formula, with the operation's name and ``_`` for the dot, as in the
subject of a port. So you can try ``golden check`` without TensorFlow and Torch.
"""

from __future__ import annotations

from golden.spec.catalogue import load_cases

_OPERATIONS = {case.operation.name: case.operation for case in load_cases("golden.ptychopinn").values()}
globals().update({name.replace(".", "_"): one.formula for name, one in _OPERATIONS.items() if one.formula is not None})
