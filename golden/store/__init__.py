"""Keep goldens on disk: file, entry and picture. Imports ``judge`` and ``spec``."""
