"""Everything here raises one exception."""


class GoldenError(Exception):
    """A golden, a case or a fixtures directory is not what it should be. The message says what to do."""
