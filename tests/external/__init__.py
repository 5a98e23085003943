"""A measured scan from outside the repository, frozen by the generator and checked like any other golden.

It also shows how another project can keep its own goldens: with cases (``star``), a fixtures directory and one test.
"""
