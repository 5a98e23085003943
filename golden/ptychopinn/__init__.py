"""PtychoPINN's goldens, a folder per topic: what the framework is told of them, and by what name.

``<topic>/cases.py`` declares operations and cases, ``faults.py`` the wrong conventions that they catch,
``reference.py`` is TensorFlow's answer, and ``installed.py`` asks the package that is installed.
"""

REFERENCES = {
    "tensorflow": "golden.ptychopinn.tensorflow",
    "ptycho": "golden.ptychopinn.installed_package",
}
"""References by the names that the generator's ``--reference`` and ``--cross-check`` take."""
