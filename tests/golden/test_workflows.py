"""CI workflows can be parsed, and name only jobs, outputs, targets, commands, options and files that exist."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from golden.cli import main
from golden.generate import main as generate
from tests.golden.conftest import git

TOP = Path(__file__).resolve().parents[2]
WORKFLOWS = {path.stem: path for path in sorted((TOP / ".github/workflows").glob("*.yml"))}
TARGETS = set(re.findall(r"^([a-z-]+):", (TOP / "Makefile").read_text(), re.M))
GENERATOR = {"golden", "confirm", "long"}
"""Targets that pass ARGS to the generator; ``test`` passes them to pytest."""
OPTION = re.compile(r"(?<!\S)--?[a-z][\w-]*")

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="the steps are scripts for bash")


def read(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(WORKFLOWS[name].read_text())
    return loaded


def steps() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for name in WORKFLOWS:
        for key, job in read(name)["jobs"].items():
            for number, step in enumerate(job["steps"]):
                yield f"{name}.{key}.{number}", job, step


SCRIPTS = {label: step["run"] for label, _, step in steps() if "run" in step}
SCRIPTS |= {f".ci/{path.name}": path.read_text() for path in sorted((TOP / ".ci").iterdir())}


def joined(script: str) -> str:
    """Return a script without comments, one command per line."""
    return re.sub(r"^\s*#.*\n", "", script.replace("\\\n", " "), flags=re.M)


def test_both_workflows_exist() -> None:
    assert {*WORKFLOWS} >= {"gate", "goldens"}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_is_what_the_server_expects(name: str) -> None:
    workflow = read(name)
    assert {*workflow} == {"name", True, "permissions", "jobs"}, "YAML 1.1 reads 'on' as true"
    for job in workflow["jobs"].values():
        assert {*job} <= {"name", "runs-on", "needs", "if", "env", "outputs", "steps"}
        assert job["runs-on"] == "ubuntu-latest"
        for step in job["steps"]:
            assert {*step} <= {"name", "id", "if", "env", "uses", "with", "run"}
            assert ("uses" in step) != ("run" in step)
            assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step.get("uses", "a/b@v1"))


@pytest.mark.parametrize("name", WORKFLOWS)
def test_names_in_expressions_exist(name: str) -> None:
    jobs = read(name)["jobs"]
    for job in jobs.values():
        needed = [job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", [])
        text = str(job)
        for other, output in re.findall(r"needs\.(\w+)\.outputs\.(\w+)", text):
            assert other in needed
            assert output in jobs[other]["outputs"]
        for step, output in re.findall(r"steps\.(\w+)\.outputs\.(\w+)", text):
            (script,) = (one["run"] for one in job["steps"] if one.get("id") == step)
            assert re.search(rf'echo "{output}=.*>> "\$GITHUB_OUTPUT"', script)
        scope = {*job.get("env", {})}
        for step in job["steps"]:
            # An expression in a script would run text from the request as code.
            assert "${{" not in step.get("run", "")
            used = {*re.findall(r"\$\{?([A-Z_]+)\b", step.get("run", ""))}
            assert used <= scope | {*step.get("env", {})} | {"GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "RUNNER_TEMP"}


@pytest.mark.parametrize("label", SCRIPTS)
def test_a_script_can_be_parsed_and_names_what_exists(label: str) -> None:
    script = SCRIPTS[label]
    assert subprocess.run(["bash", "-n"], check=False, input=script, text=True, capture_output=True).stderr == ""
    for target, rest in re.findall(r"^\s*make ([a-z-]+)(.*)", joined(script), re.M):
        assert target in TARGETS, target
        if target in GENERATOR:
            known = {name for option in generate.params for name in option.opts}
            assert {*OPTION.findall(rest.replace("'", " ").replace('"', " "))} <= known, rest
    for command, rest in re.findall(r"^\s*(?:\S*/)?golden ([a-z]+)\b([^|>\n]*)", joined(script), re.M):
        assert command in main.commands, command
        known = {name for option in main.commands[command].params for name in option.opts}
        assert {*OPTION.findall(rest)} <= known, rest
    for path in re.findall(r"constraints/[\w.]+|golden/[\w/]+\.py|(?<![\w/.])generate_golden\.py", script):
        assert (TOP / path).exists(), path


@pytest.mark.parametrize(("label", "step"), [(label, step) for label, _, step in steps() if "with" in step])
def test_arguments_of_actions_exist(label: str, step: dict[str, Any]) -> None:
    for file in str(step["with"].get("cache-dependency-path", "")).split():
        assert (TOP / file).is_file(), file
    if "upload-artifact" in step["uses"]:
        written = [script for other, script in SCRIPTS.items() if other.rpartition(".")[0] == label.rpartition(".")[0]]
        assert any(step["with"]["path"] in script for script in written)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for key, value in {"GLOBAL": "/dev/null", "SYSTEM": "/dev/null"}.items():
        monkeypatch.setenv(f"GIT_CONFIG_{key}", value)
    monkeypatch.chdir(tmp_path)
    for case in ("confirmed", "gone", "same"):
        write(tmp_path, case, record("a"))
    write(tmp_path, "none", "")
    git("init", "-q")
    commit("base")
    return tmp_path


def write(top: Path, case: str, confirmed: str) -> None:
    path = top / f"golden/fixtures/toy/{case}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{{\n{confirmed} "content": "{case}"\n}}\n')


def record(digit: str) -> str:
    return f' "confirmed": {{"reference": "ptycho", "commit": "{digit * 40}", "share": 0.1}},\n'


def commit(message: str) -> str:
    git("add", "-A")
    git("commit", "-qm", message, "--allow-empty")
    return git("rev-parse", "HEAD")


def changed(before: str, tmp_path: Path) -> dict[str, str]:
    """Run the step 'diff' of the job 'changed', and return its outputs."""
    (script,) = (step["run"] for step in read("goldens")["jobs"]["changed"]["steps"] if step.get("id") == "diff")
    output = tmp_path / ".git" / "output"
    output.write_text("")
    environment = {"BEFORE": before, "GITHUB_OUTPUT": str(output), "PATH": "/usr/bin:/bin:/usr/local/bin"}
    subprocess.run(["bash", "-e", "-o", "pipefail", "-c", script], check=True, env=environment)
    return dict(line.partition("=")[::2] for line in output.read_text().splitlines())


def test_the_step_that_looks_for_changes_finds_them(repository: Path) -> None:
    base = git("rev-parse", "HEAD")
    (repository / "README.md").write_text("words")
    commit("words")
    assert changed(base, repository) == {"reference": "unchanged", "touched": "", "confirmed": "", "commits": ""}
    faults = repository / "golden/ptychopinn/probe/faults.py"
    faults.parent.mkdir(parents=True)
    faults.write_text("FAULTS = ()")
    # git does not search or show binary files unless asked to.
    (repository / ".gitattributes").write_text("*.json binary\n")
    write(repository, "confirmed", record("b"))
    write(repository, "gone", "")
    write(repository, "new", record("b"))
    (repository / "golden/fixtures/toy/$(touch owned).json").write_text(record("c"))
    commit("claims")
    found = changed(base, repository)
    assert found["reference"] == "changed"
    assert found["touched"].split() == ["'probe/*'", "toy/confirmed", "toy/gone", "toy/new"]
    assert found["confirmed"].split() == ["toy/confirmed", "toy/new"]
    assert found["commits"].split() == ["b" * 40, "c" * 40]
    assert not (repository / "owned").exists()
    assert changed("0" * 40, repository) == {"reference": "changed"}
