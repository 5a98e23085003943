"""``golden`` raises this one exception for everything that goes wrong."""


class GoldenError(Exception):
    """A golden, a case or a fixtures directory is not what it should be. The message says what to do."""
