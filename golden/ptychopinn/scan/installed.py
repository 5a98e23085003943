"""Why the installed package is not asked to read a scan."""

NO_CALL = {"read": "its loaders are parts of scripts; no call is known that returns what one of them reads"}
