"""What --against names: files, manifests, folders, git refs and stored runs."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edgeeff import store
from edgeeff.artifacts import manifest_path, write_manifest
from edgeeff.compare import Comparison, Pair
from edgeeff.errors import RefusedError, UsageError
from edgeeff.files import sha256_of
from edgeeff.gate import kept_baseline as baseline
from edgeeff.gate.baseline import candidates, resolve
from edgeeff.gate.match import Match
from edgeeff.values import Artifact, DeviceInfo, DeviceState, Launch, Measurement, TensorSpec

GOLDEN = Path(__file__).with_name("golden")


@pytest.fixture
def artifact(small_onnx: Path) -> Callable[..., Path]:
    """artifact(path, variant="b0", precision="fp32", salt=b""): a model file with its manifest.

    Salt makes it another file of the same network: it is the model's doc string, field 6 of ONNX's ModelProto.
    """

    def make(path: Path, variant: str = "b0", precision: str = "fp32", salt: bytes = b"") -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(small_onnx.read_bytes() + (bytes((0x32, len(salt))) + salt if salt else b""))
        spec = (TensorSpec("x", "float32", (1, 3, 32, 32)),)
        size = path.stat().st_size
        sha = sha256_of(path)
        about = Artifact(
            path, "onnx", precision, variant, "random", sha, size, 1, 1, 1, spec, spec, None, None, None, {}
        )
        write_manifest(about)
        return path

    return make


def found(against: str | Path, candidate: Path, tmp_path: Path, *results: Path) -> Match:
    (match,) = resolve(str(against), [candidate], results, tmp_path / "scratch")
    return match


def test_a_file_or_its_manifest(tmp_path: Path, artifact: Callable[..., Path]) -> None:
    new, old = artifact(tmp_path / "new.onnx"), artifact(tmp_path / "old.onnx", salt=b"1")
    assert found(old, new, tmp_path) == Match("b0 fp32 onnx", new, old, str(old))
    assert found(manifest_path(old), new, tmp_path).baseline == old
    assert candidates([manifest_path(new), new, tmp_path / ".." / tmp_path.name / "new.onnx"]) == [new]


def test_a_manifest_of_other_bytes_is_refused(tmp_path: Path, artifact: Callable[..., Path]) -> None:
    old = artifact(tmp_path / "old.onnx")
    old.write_bytes(old.read_bytes() + b"x")
    with pytest.raises(RefusedError, match="is not the file that its manifest"):
        found(manifest_path(old), artifact(tmp_path / "new.onnx"), tmp_path)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"schema": 99}', b"\xff\xfe"])
def test_a_corrupt_or_foreign_manifest_is_refused(
    content: bytes, tmp_path: Path, artifact: Callable[..., Path]
) -> None:
    new, old = artifact(tmp_path / "new.onnx"), artifact(tmp_path / "old" / "new.onnx")
    manifest_path(old).write_bytes(content)
    for against in (manifest_path(old), old, old.parent):
        with pytest.raises(RefusedError, match=f"cannot be trusted: {manifest_path(old)} "):
            found(against, new, tmp_path)


def test_a_damaged_baseline_refuses_its_own_candidate_alone(tmp_path: Path, small_onnx: Path) -> None:
    for folder, name in itertools.product(("new", "old"), ("a.onnx", "b.onnx")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_bytes(small_onnx.read_bytes())
    news = candidates([tmp_path / "new"])
    (tmp_path / "old" / "b.onnx").write_bytes(small_onnx.read_bytes()[:50])
    refused: dict[Path, RefusedError] = {}
    (match,) = resolve(str(tmp_path / "old"), news, (), tmp_path, None, refused)
    assert match.candidate == news[0] and list(refused) == [news[1]]
    assert "b.onnx cannot be trusted: " in refused[news[1]].message
    (tmp_path / "foreign.txt").write_text("no model")
    with pytest.raises(RefusedError, match=r"cannot be trusted: .*foreign.txt is no model file"):
        found(tmp_path / "foreign.txt", news[0], tmp_path)


def test_a_folder_is_matched_by_what_the_manifests_say_and_else_by_name(
    tmp_path: Path, artifact: Callable[..., Path]
) -> None:
    old = tmp_path / "old"
    b0, b1 = artifact(old / "x.onnx", "b0"), artifact(old / "y.onnx", "b1")
    int8 = artifact(old / "z.onnx", "b0", "int8")
    news = [artifact(tmp_path / "new" / n, *key) for n, key in (("1.onnx", ("b1",)), ("2.onnx", ("b0", "int8")))]
    matches = resolve(str(old), candidates([tmp_path / "new"]), (), tmp_path)
    assert [(m.candidate, m.baseline) for m in matches] == [(news[0], b1), (news[1], int8)]
    bare = tmp_path / "x.onnx"
    shutil.copy(b0, bare)
    assert found(old, bare, tmp_path).baseline == b0 and found(old, bare, tmp_path).name == "x.onnx"
    with pytest.raises(UsageError, match="has no baseline of b7 fp32 onnx"):
        found(old, artifact(tmp_path / "b7.onnx", "b7"), tmp_path)
    artifact(old / "again.onnx", "b0", salt=b"2")
    with pytest.raises(UsageError, match=r"several baselines of b0 fp32 onnx: again.onnx, x.onnx"):
        found(old, artifact(tmp_path / "new.onnx"), tmp_path)
    with pytest.raises(UsageError, match="2 candidates cannot all be compared with the one file"):
        resolve(str(b0), news, (), tmp_path)


def test_what_has_no_baseline_yet_is_told_apart(tmp_path: Path, artifact: Callable[..., Path]) -> None:
    old = artifact(tmp_path / "old" / "b0.onnx", "b0")
    news = [artifact(tmp_path / "new" / f"{name}.onnx", name) for name in ("b0", "b1")]
    missing: dict[Path, str] = {}
    (match,) = resolve(str(old.parent), news, (), tmp_path, missing)
    assert match.baseline == old
    assert list(missing) == [news[1]] and "has no baseline of b1 fp32 onnx" in missing[news[1]]
    for nothing in (tmp_path / "gone", tmp_path / "empty"):
        missing = {}
        (tmp_path / "empty").mkdir(exist_ok=True)
        assert resolve(str(nothing), news, (), tmp_path, missing) == [] and list(missing) == news
    for wrong in ("run:5e55", "git:gone"):
        with pytest.raises(UsageError):
            resolve(wrong, news, (), tmp_path, {})


@pytest.mark.parametrize("damage", ["model", "manifest", "lost", "index", "future"])
def test_a_saved_baseline_that_is_damaged_is_refused_and_not_missing(
    damage: str, tmp_path: Path, artifact: Callable[..., Path]
) -> None:
    old, kept = artifact(tmp_path / "b0.onnx"), tmp_path / "kept"
    baseline.save([old], kept)
    assert found(kept, old, tmp_path).baseline == kept / "b0.onnx"
    index = kept / baseline.INDEX
    if damage == "lost":
        (kept / "b0.onnx").unlink()
    elif damage == "future":
        index.write_text(json.dumps(json.loads(index.read_text()) | {"schema": 99}))
    else:
        path = {"model": kept / "b0.onnx", "manifest": manifest_path(kept / "b0.onnx"), "index": index}[damage]
        path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(RefusedError, match=f"the baseline in {kept} cannot be trusted: "):
        resolve(str(kept), [old], (), tmp_path, {})


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path, artifact: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with artifacts/b0.onnx at the tag v1, which was changed since; the working folder is in it."""
    folder = tmp_path / "repository"
    artifact(folder / "artifacts" / "b0.onnx", salt=b"old")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "old")
    git(folder, "tag", "v1")
    artifact(folder / "artifacts" / "b0.onnx", salt=b"new")
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("against", ["v1", "git:v1", "git:HEAD"])
def test_a_git_ref_gives_the_file_in_the_same_place(against: str, repository: Path, tmp_path: Path) -> None:
    match = found(against, Path("artifacts/b0.onnx"), tmp_path)
    assert match.baseline.read_bytes().endswith(b"old") and match.candidate.read_bytes().endswith(b"new")
    assert match.origin.endswith(":artifacts/b0.onnx") and match.name == "b0 fp32 onnx"
    assert manifest_path(match.baseline).exists()


def test_a_git_ref_gives_the_counterpart_of_a_file_elsewhere(
    repository: Path, tmp_path: Path, artifact: Callable[..., Path]
) -> None:
    elsewhere = artifact(tmp_path / "build" / "model.onnx", salt=b"newer")
    assert found("git:v1", elsewhere, tmp_path).baseline.read_bytes().endswith(b"old")
    with pytest.raises(UsageError, match="v1 has no baseline of b7"):
        found("git:v1", artifact(tmp_path / "b7.onnx", "b7"), tmp_path)


def test_a_manifest_in_git_pins_a_file_that_is_kept_elsewhere(
    repository: Path, tmp_path: Path, artifact: Callable[..., Path]
) -> None:
    git(repository, "rm", "-q", "--cached", "artifacts/b0.onnx")
    artifact(repository / "artifacts" / "b0.onnx", salt=b"pinned")
    git(repository, "add", "artifacts/b0.onnx.json")
    git(repository, "commit", "-qm", "manifests only")
    new = artifact(repository / "artifacts" / "b0.onnx", salt=b"new")
    with pytest.raises(RefusedError, match="its manifest pins the hash"):
        found("git:HEAD", new, tmp_path)
    kept = artifact(repository / "artifacts" / "kept.onnx", salt=b"pinned")
    assert found("git:HEAD", new, tmp_path).baseline.resolve() == kept.resolve()


def test_a_pointer_of_lfs_without_its_content_is_refused(repository: Path, tmp_path: Path) -> None:
    pointer = repository / "artifacts" / "b0.onnx"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    git(repository, "commit", "-qam", "lfs")
    with pytest.raises(RefusedError, match="is a pointer of Git LFS"):
        found("git:HEAD", pointer, tmp_path)


def test_a_ref_that_is_none(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="git knows no commit 'main2' here"):
        found("git:main2", Path("artifacts/b0.onnx"), tmp_path)
    with pytest.raises(UsageError, match="no file, no folder, no git ref and no stored run"):
        found("main2", Path("artifacts/b0.onnx"), tmp_path)
    with pytest.raises(UsageError, match="git knows no commit"):
        found("git:--output=x", Path("artifacts/b0.onnx"), tmp_path)
    monkeypatch.chdir("/")
    with pytest.raises(UsageError, match="this folder is in no git repository"):
        found("git:v1", repository / "artifacts/b0.onnx", tmp_path)


HOST = DeviceInfo("host", "host", "cpu", "os", "6.1", "x86_64", 2, 1 << 30)


def stored(folder: Path, path: Path, identity: str = "5e55-0") -> Measurement:
    measured = Measurement(
        identity, "5e55", str(path), sha256_of(path), 1, "onnx", "fp32", "b0", None, None, None, None, "onnxruntime", 1,
        "cpu", HOST, "0", 0.0, 0,
    )  # fmt: skip
    with store.Writer(folder, "5e55", "0") as writer:
        writer.launch(measured, Launch(0, (1,), 0.0))
    return measured


def test_a_stored_run_gives_its_artifact_by_the_hash(tmp_path: Path, artifact: Callable[..., Path]) -> None:
    new, old = artifact(tmp_path / "new.onnx"), artifact(tmp_path / "old.onnx", salt=b"1")
    measured = stored(tmp_path / "results", old)
    for against in ("run:5e55", "5e55", "run:5e55-0", f"run:{measured.sha256[:10]}", measured.sha256):
        assert found(against, new, tmp_path, tmp_path / "results").baseline == old
    old.rename(moved := tmp_path / "moved.onnx")
    assert found("run:5e55", new, tmp_path, tmp_path / "results").baseline == moved
    moved.write_bytes(b"other")
    with pytest.raises(RefusedError, match="the artifact of the stored run run:5e55 is gone"):
        found("run:5e55", new, tmp_path, tmp_path / "results")
    with pytest.raises(UsageError, match="no stored run"):
        found("run:other", new, tmp_path, tmp_path / "results", tmp_path / "none")


@pytest.mark.parametrize("line", ['{"record": "session", "schema": 99}', "not json", '{"schema": 1}'])
def test_a_future_or_foreign_results_file_is_refused(line: str, tmp_path: Path, artifact: Callable[..., Path]) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "x.jsonl").write_text(line + "\n")
    with pytest.raises(RefusedError, match=r"later edgeeff|not a results file"):
        found("run:5e55", artifact(tmp_path / "new.onnx"), tmp_path, tmp_path / "r")


def test_paired_launches_survive_the_results_file(tmp_path: Path, artifact: Callable[..., Path]) -> None:
    measured = stored(tmp_path / "a", artifact(tmp_path / "x.onnx"))
    other = replace(measured, id="5e55-1")
    state = DeviceState(thermal_status=0, governors=("performance",))
    launch = Launch(0, (3, 5, 4), 1.5, cpu_ns=(2, 4, 3))
    pair = Pair(0, launch, replace(launch, samples_ns=(3, 4, 4)), (True, False, True), state_after=state)
    whole = Comparison("5e55-k", "5e55", measured, other, 2.0, (pair, replace(pair, index=1, error="x")), {"a": "1"})
    with store.Writer(tmp_path / "b", "5e55", "0") as writer:
        writer.launch(measured, launch)
        for each in whole.pairs:
            writer.pair(whole, each)
    (read,) = store.read_comparisons(tmp_path / "b")
    assert read == replace(whole, candidate=replace(measured, launches=(launch,)))
    assert read.log_ratios == (0.0,)
    assert [m.id for m in store.read(tmp_path / "b")] == ["5e55-0", "5e55-1"]


def test_golden_of_schema_2_is_read_for_ever_and_1_still_is() -> None:
    (comparison,) = store.read_comparisons(GOLDEN / "results-schema2.jsonl")
    lines = (GOLDEN / "results-schema2.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["schema"] == 2
    assert len(comparison.pairs) == 2 and comparison.pairs[0].interleaved
    assert comparison.log_ratios == pytest.approx((0.0, 0.0), abs=0.2)
    assert comparison.candidate.launches and comparison.baseline.launches
    assert store.read_comparisons(GOLDEN / "results-schema1.jsonl") == []
    assert store.read(GOLDEN / "results-schema1.jsonl")
