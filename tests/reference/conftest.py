"""These tests import TensorFlow themselves, with the settings that the generator pins for its processes."""

from __future__ import annotations

import os

from golden.generator.worker import PINNED

os.environ.update(PINNED)
