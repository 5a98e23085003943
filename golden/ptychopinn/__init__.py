"""PtychoPINN's content: a folder for each topic, the modules that several topics share, and the references.

``cases.py``: the operations of the topic and the cases that freeze them.
``faults.py``: wrong conventions, each a mistake that ports of PtychoPINN made or could make. A fault is an altered
input, parameter or output of the reference, or a formula with a wrong part. docs/fault-table.md lists them all.
``formulas.py``: the operations restated in NumPy. A function with the name of an operation takes its inputs and
parameters by name and returns its outputs by name, as ``cases.py`` describes them. Its other arguments are its parts.
Their defaults are right, and faults replace them. The tests check every formula against the goldens.
``reference.py``: the same functions in TensorFlow; their results are frozen.
``installed.py``: the same functions as calls of the installed package.
"""

REFERENCES = {
    "tensorflow": "golden.ptychopinn.tensorflow",
    "ptycho": "golden.ptychopinn.installed_package",
}
"""References by name, for the generator's ``--reference`` and ``--cross-check``."""
