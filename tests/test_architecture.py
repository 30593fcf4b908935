"""The house rules of DESIGN.md, which import-linter cannot check: it does not see packages that setuptools maps."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import click
import pytest

from edgeeff.cli import COMMANDS

ROOT = Path(__file__).parents[1]
GROUPS = ("converters", "devices", "benchmarks")
PRINTERS = ("edgeeff.cli", "edgeeff.benchmarks.against")
HEAVY = {"numpy", "torch", "onnx", "onnxruntime", "ai_edge_litert", "tflite_runtime", "safetensors", "huggingface_hub"}
HEAVY |= {"sqlalchemy", "asyncssh"}


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of the code folders, by the name it is installed under."""
    for folder in ("edgeeff", *GROUPS):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts if folder == "edgeeff" else ("edgeeff", *parts)).removesuffix(".__init__"), path


def imports(name: str, path: Path) -> Iterator[str]:
    """The full name of everything that a module imports, at any depth of its code."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            yield from (".".join([*base, *([node.module] if node.module else []), a.name]) for a in node.names)


def is_in(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


MODULES = dict(modules())
ADAPTERS = [f"edgeeff.{group}" for group in GROUPS]
each_module = pytest.mark.parametrize("name", MODULES)


@each_module
def test_imports_point_down(name: str) -> None:
    """cli -> adapters -> core; adapters of two groups never meet, siblings share only what is called _helper."""
    own = next((group for group in ADAPTERS if is_in(name, group)), None)
    for target in () if is_in(name, "edgeeff.cli") else imports(name, MODULES[name]):
        assert not is_in(target, "edgeeff.cli") or name == "edgeeff.__main__", f"{name} imports {target}"
        if is_in(target, *ADAPTERS):
            assert own and is_in(target, own), f"{name} imports {target}, of another part"
            helper = next(there for here, there in zip_longest(name.split("."), target.split(".")) if here != there)
            assert helper.startswith("_"), f"{name} imports its sibling {target}"


def test_what_runs_alone_imports_nothing_of_ours() -> None:
    """The runner is packed for boards; shape inference is started as one file."""
    runner = "edgeeff.benchmarks._runner"
    for name in ("edgeeff.converters._onnx_infer", *(name for name in MODULES if is_in(name, runner))):
        foreign = [target for target in imports(name, MODULES[name]) if is_in(target, "edgeeff")]
        assert not [target for target in foreign if not is_in(name, runner) or not is_in(target, runner)]


@each_module
def test_only_the_command_line_prints_and_nothing_runs_a_shell(name: str) -> None:
    for call in (node for node in ast.walk(ast.parse(MODULES[name].read_text("utf-8"))) if isinstance(node, ast.Call)):
        function = ast.unparse(call.func)
        if not is_in(name, *PRINTERS):
            assert function not in ("print", "click.echo", "click.secho"), f"{name}:{call.lineno} prints"
        shells = ("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput")
        assert function not in shells, f"{name}:{call.lineno} runs a shell"
        assert all(keyword.arg != "shell" for keyword in call.keywords), f"{name}:{call.lineno} runs a shell"


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["variants"], ["convert", "--help"], ["bench", "--help"], ["check", "--help"], ["evaluate", "--help"]],
)
def test_light_commands_import_nothing_heavy(arguments: list[str]) -> None:
    argv = [sys.executable, "-X", "importtime", "-m", "edgeeff", *arguments]
    run = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in run.stderr.splitlines() if "|" in line}
    assert "click" in loaded
    assert not loaded & HEAVY


def commands(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """A command and those below it, by what is typed."""
    yield name, command
    for below, inner in command.commands.items() if isinstance(command, click.Group) else ():
        yield from commands(f"{name} {below}", inner)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_says_what_it_is_for_and_answers_in_json(command: str) -> None:
    for name, each in commands(command, getattr(importlib.import_module(f"edgeeff.cli.{command}"), command)):
        options = [param for param in each.params if isinstance(param, click.Option)]
        silent = [option.opts[0] for option in options if not option.help and not option.hidden]
        assert each.help and not silent, f"edgeeff {name}: {silent}"
        is_only_a_group = isinstance(each, click.Group) and not each.invoke_without_command
        assert is_only_a_group or any(option.opts == ["--json"] for option in options), f"edgeeff {name} has no --json"
