"""PtychoPINN's content: a folder for each topic, what several of them share, and what the framework is told of them.

``cases.py``: the operations of the topic and the cases that freeze them.
``faults.py``: wrong conventions, each a mistake that ports of PtychoPINN made or could make. A fault is an altered
input, parameter or output of the reference, or a formula with a wrong part. docs/fault-table.md lists them all.
``formulas.py``: the operations restated in NumPy. A function that is named like an operation takes its inputs and
parameters by name and returns its outputs by name, as ``cases.py`` describes them. What it takes beside them are its
parts, right by default, which faults replace. The tests hold every formula to the goldens.
``reference.py``: the same functions in TensorFlow; what they return is frozen.
``installed.py``: the same functions once more, as calls of the package that is installed.
"""

REFERENCES = {
    "tensorflow": "golden.ptychopinn.tensorflow",
    "ptycho": "golden.ptychopinn.installed_package",
}
"""References by the names that the generator's ``--reference`` and ``--cross-check`` take."""
