"""The only exception that ``golden`` raises for its errors."""


class GoldenError(Exception):
    """A golden, a case or a fixtures directory is wrong. The message says what to do."""
