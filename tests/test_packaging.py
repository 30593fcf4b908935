"""The wheel holds what the tree holds, and nothing outside the package edgeeff."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("edgeeff", "converters", "devices", "benchmarks")


def files() -> dict[str, Path]:
    """Every file of the code folders, by its path in an installation."""
    found = {}
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                relative = path.relative_to(ROOT).as_posix()
                found[relative if folder == "edgeeff" else f"edgeeff/{relative}"] = path
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names in a wheel that is built from a copy of the tree, by the backend that pyproject names."""
    copy, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, copy)
    code = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    run = subprocess.run([sys.executable, "-c", code, str(out)], cwd=copy, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    (path,) = out.glob("edgeeff-*.whl")
    return ZipFile(path).namelist()


def test_packages_are_the_folders() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    folders = {str(Path(name).parent).replace("/", ".") for name in files() if name.endswith(".py")}
    assert set(setuptools["packages"]) == folders
    assert setuptools["package-dir"] == {f"edgeeff.{folder}": folder for folder in FOLDERS[1:]}


def test_wheel_installs_only_edgeeff(wheel: list[str]) -> None:
    tops = {name.split("/")[0] for name in wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"edgeeff"}
    assert len(tops) == 2


def test_wheel_holds_every_file_of_the_tree(wheel: list[str]) -> None:
    """Modules, the runner that boards get, tables, and the mark that the package is typed."""
    assert {"edgeeff/py.typed", "edgeeff/benchmarks/_runner/__main__.py"} <= set(wheel)
    missing = set(files()) - set(wheel)
    assert not missing, "name them in pyproject's package-data"
