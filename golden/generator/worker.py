"""Run a reference in a process of its own.

TensorFlow reads its thread count and its oneDNN switch from the environment only once, when it starts. Measuring the
noise needs several settings, and so several processes. This also keeps TensorFlow out of the generator itself:
``--help`` answers at once, and the process that handles Ctrl-C is never inside a kernel.
"""

from __future__ import annotations

import gc
import importlib
import logging
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from functools import cached_property
from types import TracebackType
from typing import Any

import numpy as np

from golden.interrupts import deaf_children
from golden.spec.arrays import Arrays
from golden.spec.errors import GoldenError
from golden.spec.operation import KERNELS, Operation, Precision
from golden.spec.parameters import Parameters

INSTRUCTION_SET = "AVX2"
# Thread counts and instruction set are fixed, so that a more capable machine computes the same bits.
FROZEN = {
    "TF_NUM_INTRAOP_THREADS": "2",
    "TF_NUM_INTEROP_THREADS": "2",
    "TF_ENABLE_ONEDNN_OPTS": "1",
    "ONEDNN_MAX_CPU_ISA": INSTRUCTION_SET,  # an upper limit; it overrules the older DNNL_MAX_CPU_ISA
}
"""The settings under which outputs are frozen."""

VARIANTS: Mapping[str, dict[str, str]] = {
    "1 thread": FROZEN | {"TF_NUM_INTRAOP_THREADS": "1"},
    "4 threads": FROZEN | {"TF_NUM_INTRAOP_THREADS": "4"},
    "no oneDNN": FROZEN | {"TF_ENABLE_ONEDNN_OPTS": "0"},
    **dict(zip(KERNELS, (FROZEN | {"ONEDNN_MAX_CPU_ISA": limit} for limit in ("SSE41", "DEFAULT")), strict=True)),
}
"""Settings that change only rounding, for measuring noise. Those of ``KERNELS`` are used only where kernels matter."""

_UNLESS_OFFERED: Mapping[str, tuple[Any]] = {"BACKING": ("",), "missing": (lambda operation: "",)}
"""What a reference may leave out, and the defaults."""

PINNED = {
    **{"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"},
    # The user's own Keras settings: no keras.json is read where there is no folder, and Keras 3 runs on TensorFlow.
    **{"KERAS_HOME": os.devnull, "KERAS_BACKEND": "tensorflow", "TF_USE_LEGACY_KERAS": "0"},
}
"""Settings of every process; they override the user's own."""


class Reference:
    """A running reference. Use it in a ``with`` statement.

    Args:
        module: the module to import. It offers ``evaluate(operation, precision, inputs, parameters)``,
            ``producer(operation)`` and ``provenance()``; an adapter also ``BACKING`` and ``missing(operation)``
            (``golden.spec.references``).
        settings: environment variables of its process.
    """

    def __init__(self, module: str, settings: Mapping[str, str]) -> None:
        self.module = module
        self._pool = ProcessPoolExecutor(
            max_workers=1,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_prepare,
            initargs=({**PINNED, **settings},),
        )
        # Start loading now, so that several references load at the same time.
        with deaf_children():
            self._pool.submit(_load, module)

    def __enter__(self) -> Reference:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if problem is not None:
            for process in list(self._pool._processes.values()):
                process.terminate()
        self._pool.shutdown(cancel_futures=True)

    def evaluate(
        self, operation: Operation, inputs: Arrays, parameters: Parameters, precision: Precision | None = None
    ) -> dict[str, np.ndarray]:
        """Compute the reference's outputs in ``precision`` (the operation's own by default).

        Raises:
            GoldenError: it failed, or returned other outputs than the operation declares.
        """
        arguments = (operation.name, precision or operation.precision, dict(inputs), dict(parameters))
        outputs: dict[str, np.ndarray] = self._call("evaluate", *arguments)
        if not isinstance(outputs, dict) or not all(_storable(array) for array in outputs.values()):
            raise GoldenError(
                f"reference {self.module}: {operation.name} must return NumPy arrays of numbers or bytes by name"
            )
        declared = {output.name for output in operation.outputs}
        if set(outputs) != declared:
            raise GoldenError(
                f"reference {self.module}: {operation.name} returned {sorted(outputs)}, "
                f"but the operation declares {sorted(declared)}"
            )
        return outputs

    def producer(self, operation: Operation) -> str:
        """Return what produces an operation's outputs: ``tensorflow``, or ``transcribed`` from a document."""
        return str(self._call("producer", operation.name))

    def provenance(self) -> dict[str, str]:
        """Return the versions of what computes the outputs, from when it was loaded, and the instruction set."""
        return dict(self._provenance)

    @cached_property
    def _provenance(self) -> dict[str, str]:
        return {**self._call("provenance"), "instruction_set": instruction_set()}

    def backing(self) -> str:
        """Return the module of the reference that computes what this one cannot; empty if it needs none."""
        return str(self._call("BACKING"))

    def missing(self, operation: Operation) -> str:
        """Return why it cannot compute an operation; empty if it can."""
        return str(self._call("missing", operation.name))

    def _call(self, function: str, *arguments: Any) -> Any:
        try:
            return self._pool.submit(_call, self.module, function, arguments).result()
        except BrokenProcessPool:
            raise GoldenError(
                f"reference {self.module}: its process ended without an answer (out of memory, or killed)"
            ) from None
        except GoldenError:
            raise
        except Exception as failed:  # an answer that cannot be sent
            raise GoldenError(f"reference {self.module}: {type(failed).__name__}: {failed}") from failed


def instruction_set() -> str:
    """Name the instruction set of oneDNN's kernels for frozen outputs, or say that this processor lacks it."""
    known = np.show_config(mode="dicts")["SIMD Extensions"]
    has = {*known["baseline"], *known["found"]} & {"AVX2", "X86_V3"}  # NumPy's older name, and its newer one
    return INSTRUCTION_SET if has else f"less than {INSTRUCTION_SET}"


def _storable(array: object) -> bool:
    return isinstance(array, np.ndarray) and array.dtype.kind in "biufcS"


def _prepare(settings: dict[str, str]) -> None:
    os.environ.update(settings)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # its hints are about speed, and would clutter our tables
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the generator decides
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


@contextmanager
def _standard_error_closed() -> Iterator[None]:
    """Silence messages of TensorFlow's libraries while they load, which no log level suppresses."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _load(module: str) -> None:
    gc.disable()  # while TensorFlow loads, looking for garbage takes a quarter of the time
    with _standard_error_closed(), suppress(Exception, SystemExit):  # reported by the first call
        importlib.import_module(module).provenance()  # an adapter imports its package only now
    gc.freeze()
    gc.enable()


def _call(module: str, function: str, arguments: tuple[Any, ...]) -> Any:
    try:
        reference = importlib.import_module(module)
    except ModuleNotFoundError as missing:
        if missing.name and missing.name.partition(".")[0] in {"tensorflow", "keras"}:
            raise GoldenError(
                "TensorFlow is not installed here, and goldens are computed with it. Run 'make golden', which makes "
                "an environment for it, or: pip install -c constraints/tensorflow.txt -e '.[tensorflow]'"
            ) from None
        raise GoldenError(f"reference {module}: cannot be imported ({missing})") from None
    except (Exception, SystemExit) as failed:
        raise GoldenError(f"reference {module}: cannot be imported ({type(failed).__name__}: {failed})") from None
    try:
        if not hasattr(reference, function) and function not in _UNLESS_OFFERED:
            raise GoldenError(
                f"reference {module}: it has no {function}(); expected evaluate, producer and provenance "
                f"(docs/how-to.md, 'Goldens of your own project')"
            )
        offered = getattr(reference, function, *_UNLESS_OFFERED.get(function, ()))
        return offered(*arguments) if callable(offered) else offered
    except GoldenError:
        raise
    except (Exception, SystemExit) as failed:
        # Only text crosses the process boundary: TensorFlow's exceptions cannot be sent.
        raise GoldenError(
            f"reference {module}: {function}{arguments[:2]} failed: {type(failed).__name__}: {failed}"
        ) from None
