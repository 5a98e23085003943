"""Ctrl-C and SIGTERM at any moment: the exit status, the message, and the files that are left."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from golden import interrupts as golden_interrupts
from golden.cli import main as golden
from ptycho_torch.interrupts import NUMBERS, Interrupts, guard_loading
from ptycho_torch.program import appearing_together, ending
from ptycho_torch.scans.scan import save_scan
from ptycho_torch.simulate import Simulation, simulate_scan

HOOK = """
import os, signal, sys

class Sender:
    # Sends this process a signal during an import and swallows the exception, as some libraries do.
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["SIGNAL_AT"]:
            sys.meta_path.remove(self)
            try:
                os.kill(os.getpid(), int(os.environ["SIGNAL"]))
                for _ in range(1000):
                    pass
            except BaseException:
                print("swallowed", file=sys.stderr)

sys.meta_path.insert(0, Sender())
"""


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scan") / "scan.npz"
    save_scan(path, simulate_scan(Simulation(patterns=8, seed=3)))
    return path


def interrupted(directory: Path, number: int, module: str, *command: object) -> tuple[int, str]:
    """Run a program that gets a signal while it imports a module; return its exit status and output."""
    (directory / "hook").mkdir()
    (directory / "hook" / "sitecustomize.py").write_text(HOOK)
    settings = {"PYTHONPATH": str(directory / "hook"), "SIGNAL_AT": module, "SIGNAL": str(int(number))}
    done = subprocess.run(
        [sys.executable, "-m", *map(str, command)],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("module", ["click", "numpy", "torch", "lightning.fabric.accelerators", "matplotlib.figure"])
def test_training_while_libraries_load(scan: Path, tmp_path: Path, module: str) -> None:
    options = ("--train_data_file", scan, "--output_dir", tmp_path / "D")
    status, said = interrupted(tmp_path, signal.SIGINT, module, "ptycho_torch.train", *options)
    assert (status, said) == (130, "Error: interrupted (SIGINT): nothing was written\n")
    assert not (tmp_path / "D").exists()


@pytest.mark.parametrize("module", ["torch", "scipy.ndimage"])
def test_inference_while_libraries_load(scan: Path, tmp_path: Path, module: str) -> None:
    options = ("--model_path", tmp_path, "--test_data", scan, "--output_dir", tmp_path / "D")
    status, said = interrupted(tmp_path, signal.SIGTERM, module, "ptycho_torch.inference", *options)
    assert (status, said) == (143, "Error: interrupted (SIGTERM): nothing was written\n")
    assert not (tmp_path / "D").exists()


@pytest.mark.parametrize("module", ["torch", "numpy.random"])
def test_a_simulation_while_libraries_load(tmp_path: Path, module: str) -> None:
    status, said = interrupted(tmp_path, signal.SIGINT, module, "ptycho_torch.simulate", tmp_path / "out.npz")
    assert status == 130
    assert said.splitlines()[-1] == "Error: interrupted (SIGINT): nothing was written"
    assert "Traceback" not in said
    assert not list(tmp_path.glob("*out*"))


@pytest.mark.parametrize("module", ["click", "numpy", "golden.ptychopinn.simulation.embedded"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_golden(tmp_path: Path, module: str, number: int) -> None:
    """Even if an import swallows the exception, the last line says that the run was interrupted and what it wrote."""
    status, said = interrupted(tmp_path, number, module, "golden", "scan", tmp_path / "out.npz")
    assert status == 128 + number
    written = f"written before: {tmp_path / 'out.npz'}" if (tmp_path / "out.npz").exists() else "nothing was written"
    assert said.splitlines()[-1] == f"golden: interrupted; {written}"
    assert "Traceback" not in said


def test_an_interrupt_while_code_is_executed(tmp_path: Path) -> None:
    """As in a dataclass, which is made of text. CPython would then end ``python -m`` by SIGINT."""
    (tmp_path / "program.py").write_text(
        "from golden.interrupts import run\n"
        "def command():\n"
        "    try:\n"
        "        exec('raise KeyboardInterrupt')\n"
        "    except KeyboardInterrupt:\n"
        "        raise SystemExit(143)\n"
        "run(command)\n"
    )
    assert subprocess.run([sys.executable, "-m", "program"], cwd=tmp_path, check=False).returncode == 143


def test_the_generator(tmp_path: Path) -> None:
    status, said = interrupted(tmp_path, signal.SIGINT, "golden.generator.session", "golden.generate", "--list")
    assert status == 130
    assert "interrupted; nothing was" in said.splitlines()[-1]
    assert "Traceback" not in said


# ------------------------------------------------------------------------------------------------ the parts


def test_a_swallowed_or_replaced_exception_still_ends_a_program() -> None:
    said: list[str] = []
    before = signal.getsignal(signal.SIGINT)
    for number in (signal.SIGINT, signal.SIGTERM):
        with pytest.raises(click.exceptions.Exit) as ended, ending(lambda: "kept", said.append) as interrupts:
            try:
                signal.raise_signal(number)
            except BaseException as problem:
                raise ImportError("initialization failed") from problem
        assert ended.value.exit_code == 128 + number
        assert interrupts.number == number
    with (
        pytest.raises(click.exceptions.Exit) as ended,
        ending(lambda: "all is written", said.append),
        suppress(BaseException),
    ):
        signal.raise_signal(signal.SIGINT)
    assert ended.value.exit_code == 130
    assert said == ["interrupted (SIGINT): kept", "interrupted (SIGTERM): kept", "interrupted (SIGINT): all is written"]
    assert signal.getsignal(signal.SIGINT) == before


def test_garbage_is_collected_as_soon_as_libraries_are_loaded() -> None:
    before = {number: signal.getsignal(number) for number in NUMBERS}
    try:
        guard_loading()
        assert not gc.isenabled()
        with Interrupts().handled():
            assert gc.isenabled()
    finally:
        gc.enable()
        for number, handler in before.items():
            signal.signal(number, handler)


def test_results_appear_together_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    (tmp_path / "b").write_text("old")
    (tmp_path / ".results-of-a-killed-run").mkdir()

    def write(problem: BaseException | None) -> None:
        with appearing_together(tmp_path, ("a", "b", "c"), Interrupts()) as stage:
            (stage / "a").write_text("new")
            if problem is not None:
                raise problem
            (stage / "c").write_text("new")

    with pytest.raises(OSError, match="full"):
        write(OSError("full"))
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "old", "b": "old"}
    write(None)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "new", "c": "new"}


def test_an_interrupted_golden_command_in_the_same_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(path: Path, arrays: object) -> None:
        path.write_text("whole")
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("golden.cli.write_arrays", write)
    run = CliRunner().invoke(golden, ["scan", str(tmp_path / "out.npz")])
    assert run.exit_code == 130
    assert run.stderr.splitlines()[-1] == f"golden: interrupted; written before: {tmp_path / 'out.npz'}"


def test_the_processes_of_a_check_end_with_it(tmp_path: Path) -> None:
    """A terminal sends Ctrl-C to all of them. Only one prints a message, and nothing waits for the others."""
    (tmp_path / "slow.py").write_text(
        "import time, pathlib\n"
        "def probe_hard_mask(**given):\n"
        f"    (pathlib.Path({str(tmp_path)!r}) / 'begun').touch()\n"
        "    time.sleep(300)\n"
    )
    command = [sys.executable, "-m", "golden", "check", "slow", "probe/hard_mask*", "--jobs", "2"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not (tmp_path / "begun").exists() and process.poll() is None:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=60)[1].splitlines()
    assert said[-1] == "golden: interrupted; nothing was written"  # earlier lines say which goldens are checked
    assert sum("interrupted" in line for line in said) == 1
    assert process.returncode == 130


@pytest.mark.parametrize("interrupts", [Interrupts, golden_interrupts.Interrupts])
def test_an_interrupt_in_a_callback_is_kept_and_prints_nothing(
    interrupts: type[Interrupts], capfd: pytest.CaptureFixture[str]
) -> None:
    """Python prints an exception that is raised there, with a traceback, and continues."""

    class Ends:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(1000):
                pass

    one = interrupts()
    with one.handled():
        Ends()
    assert one.number == signal.SIGINT
    assert capfd.readouterr().err == ""
