"""A measured scan from outside the repository, frozen by the generator and checked like any other golden.

It also shows how another project keeps goldens of its own: its cases (``star``), its fixtures directory, one test.
"""
