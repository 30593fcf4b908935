"""Baselines: kept whole, checked by hash, restored; what is damaged or foreign is refused and loses nothing."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgeeff.cli.baseline import baseline as command
from edgeeff.errors import UsageError
from edgeeff.gate import kept_baseline as baseline

TARGETS = ["kept", "kept.tar.gz"]


@pytest.fixture
def files(tmp_path: Path, small_tflite: Path, small_onnx: Path) -> list[Path]:
    copies = []
    for source in (small_tflite, small_onnx):
        path = tmp_path / "artifacts" / source.name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(source.read_bytes())
        copies.append(path)
    return copies


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_saved_comes_back(tmp_path: Path, files: list[Path], name: str) -> None:
    saved = baseline.save(files, tmp_path / name)
    assert baseline.read(tmp_path / name) == saved
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("stays")
    baseline.restore(tmp_path / name, out)
    assert [(out / path.name).read_bytes() for path in files] == [path.read_bytes() for path in files]
    assert (out / "mine.txt").read_text() == "stays"


def test_an_archive_is_reproducible(tmp_path: Path, files: list[Path]) -> None:
    for name in ("a.tar.gz", "b.tar.gz"):
        baseline.save(files, tmp_path / name)
    assert (tmp_path / "a.tar.gz").read_bytes() == (tmp_path / "b.tar.gz").read_bytes()


@pytest.mark.parametrize("name", TARGETS)
def test_a_new_baseline_takes_the_place_of_the_old(tmp_path: Path, files: list[Path], name: str) -> None:
    baseline.save(files, tmp_path / name)
    baseline.save(files[:1], tmp_path / name)
    assert [entry.file for entry in baseline.read(tmp_path / name)] == [files[0].name]
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize("name", TARGETS)
def test_a_failed_save_leaves_the_old_one(tmp_path: Path, files: list[Path], name: str) -> None:
    before = baseline.save(files, tmp_path / name)
    files[1].unlink()
    with pytest.raises(UsageError, match="there is no file"):
        baseline.save(files, tmp_path / name)
    assert baseline.read(tmp_path / name) == before


def test_a_folder_of_other_things_is_not_replaced(tmp_path: Path, files: list[Path]) -> None:
    with pytest.raises(UsageError, match="holds other files"):
        baseline.save(files, tmp_path / "artifacts")
    assert all(path.exists() for path in files)


def test_the_folder_that_one_is_in_is_not_replaced(
    tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(UsageError, match=r"cannot write \."):
        baseline.save(files, Path())
    assert list(Path().iterdir()) == []


def test_two_files_of_one_name_are_refused(tmp_path: Path, files: list[Path]) -> None:
    with pytest.raises(UsageError, match="two files are called"):
        baseline.save([files[0], files[0]], tmp_path / "kept")


def damaged_file(folder: Path) -> None:
    next(folder.glob("*.tflite")).write_bytes(b"other bytes")


def missing_file(folder: Path) -> None:
    next(folder.glob("*.tflite")).unlink()


def later_schema(folder: Path) -> None:
    index = json.loads((folder / "baseline.json").read_text())
    (folder / "baseline.json").write_text(json.dumps({**index, "schema": 2}))


def truncated_index(folder: Path) -> None:
    (folder / "baseline.json").write_text((folder / "baseline.json").read_text()[:40])


def path_outside(folder: Path) -> None:
    index = json.loads((folder / "baseline.json").read_text())
    index["entries"][0]["file"] = "../../etc/passwd"
    (folder / "baseline.json").write_text(json.dumps(index))


def foreign(folder: Path) -> None:
    (folder / "baseline.json").unlink()


@pytest.mark.parametrize(("harm", "said"), [
    (damaged_file, "is not the file that was saved"), (missing_file, "is missing"), (later_schema, "schema 2"),
    (truncated_index, "is damaged"), (path_outside, "it names '../../etc"), (foreign, "it has no baseline.json"),
])  # fmt: skip
def test_harm_is_seen_and_nothing_is_restored(
    tmp_path: Path, files: list[Path], harm: Callable[[Path], None], said: str
) -> None:
    baseline.save(files, tmp_path / "kept")
    harm(tmp_path / "kept")
    with pytest.raises(UsageError, match=said):
        baseline.restore(tmp_path / "kept", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_or_foreign_archive_is_refused(tmp_path: Path, files: list[Path]) -> None:
    kept = tmp_path / "kept.tar.gz"
    baseline.save(files, kept)
    whole = kept.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"no archive", b"\x1f\x8b" + b"\0" * 50):
        kept.write_bytes(content)
        with pytest.raises(UsageError, match=r"no archive, or a damaged one|not a baseline"):
            baseline.read(kept)
    with pytest.raises(UsageError, match="there is no baseline"):
        baseline.read(tmp_path / "absent")


@pytest.mark.parametrize("name", ["../outside", "/abs", "folder/file"])
def test_an_archive_cannot_write_elsewhere(tmp_path: Path, name: str) -> None:
    with tarfile.open(tmp_path / "evil.tar.gz", "w:gz") as archive:
        info = tarfile.TarInfo(name)
        info.size = 4
        archive.addfile(info, io.BytesIO(b"evil"))
    with pytest.raises(UsageError, match="not a baseline of edgeeff: it holds"):
        baseline.restore(tmp_path / "evil.tar.gz", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.tar.gz"]


def test_the_command_saves_shows_and_restores(tmp_path: Path, files: list[Path]) -> None:
    def run(*arguments: str) -> str:
        return CliRunner().invoke(command, list(arguments), catch_exceptions=False).stdout

    kept, out = str(tmp_path / "kept"), str(tmp_path / "out")
    saved = json.loads(run("save", "--artifacts", str(tmp_path / "artifacts"), "--to", kept, "--json"))
    assert {entry["file"] for entry in saved["entries"]} == {path.name for path in files}
    assert json.loads(run("save", str(tmp_path / "artifacts"), "--to", kept, "--json")) == saved
    assert json.loads(run("show", kept, "--json")) == saved
    assert "unknown" in run("restore", kept, "--out", out)
    assert {path.name for path in Path(out).iterdir()} == {path.name for path in files}


@pytest.mark.parametrize("name", TARGETS)
def test_a_save_names_what_it_takes_out(tmp_path: Path, files: list[Path], name: str) -> None:
    def save(*paths: Path) -> str:
        arguments = ["save", *map(str, paths), "--to", str(tmp_path / name)]
        return CliRunner().invoke(command, arguments, catch_exceptions=False).stderr

    assert "no longer" not in save(*files) + save(*files)
    assert f"no longer in {tmp_path / name}, which was replaced whole: {files[1].name}\n" in save(files[0])
    damaged = tmp_path / name / baseline.INDEX if (tmp_path / name).is_dir() else tmp_path / name
    damaged.write_text("no index")
    assert f"what {tmp_path / name} held is not listed: " in save(*files)
