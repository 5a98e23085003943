"""Run programs in turns, so that other load slows all of them equally."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parents[1]


class Worker:
    """A process that does work on request: it reads a line of JSON and writes a line of JSON.

    Args:
        module: module to run, as ``python -m module --worker framework``.
        framework: framework that does the work.
        python: Python interpreter with this framework.
        arguments: further arguments of the module.
        environment: additional environment variables.
    """

    def __init__(
        self,
        module: str,
        framework: str,
        python: str,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        settings = {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", **(environment or {})}
        command = [python, "-m", module, "--worker", framework, *arguments]
        self.command = " ".join(command)
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | settings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, *work: Any) -> Any:
        """Send work to the process and return its answer.

        Raises:
            ClickException: the process ended.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            print(json.dumps(work), file=self.process.stdin, flush=True)
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise click.ClickException(f"{self.command} ended; run it by hand to see why")
        return json.loads(answer)

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self.process.kill()
        self.process.wait()
