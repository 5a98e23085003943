"""Hold a port to the goldens in pytest. Imports ``report`` and what lies below, never ``generator``."""
