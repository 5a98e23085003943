"""A stand-in for the TensorFlow package that the adapter calls: its names, formats and quirks, in NumPy.

It follows the described behaviour of that package and uses the formulas of ``golden.ptychopinn``. It computes in
float64 and rounds, refuses complex128, keeps its parameters in one global dictionary, and never imports TensorFlow.
"""

__version__ = "2.4"
