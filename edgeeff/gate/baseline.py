"""What `--against` names: a file, a manifest, a folder, a git ref or a stored run -> the baseline of each candidate.

A baseline is always an artifact, known by its hash; a stored latency is never one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from edgeeff.artifacts import manifest_path, read_manifest
from edgeeff.errors import RefusedError, UsageError
from edgeeff.files import sha256_of
from edgeeff.gate.git_tree import GitTree
from edgeeff.gate.kept_baseline import INDEX, read
from edgeeff.gate.match import Match, NoBaselineError, beside, label, of_hash, refusing
from edgeeff.gate.stored_runs import in_runs, stored
from edgeeff.measuring.cases import format_of, inspected, model_files
from edgeeff.values import Artifact


def candidates(paths: Sequence[Path]) -> list[Path]:
    """The model files that are meant: files, manifests, and all of a folder.

    Raises:
        UsageError: one is not there, or a folder holds none.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        inside = model_files(path, ()) if path.is_dir() else [artifact_file(path)]
        if not inside:
            raise UsageError(f"there is no model file in {path}", "edgeeff convert writes them")
        for file in inside:
            found.setdefault(file.resolve(), file)
    return list(found.values())


def artifact_file(path: Path) -> Path:
    """The model file that a path means: itself, or the one that a manifest is of.

    Raises:
        UsageError: it is not there, or neither a model file nor a manifest.
        RefusedError: the manifest is of other bytes.
    """
    if path.suffix != ".json":
        format_of(path)
        return path
    model = path.with_suffix("")
    if manifest_path(model) != path or not model.exists():
        raise UsageError(f"the model file of the manifest {path} is not beside it", f"it is called {model.name}")
    if read_manifest(model) is None:
        raise RefusedError(
            f"{model} is not the file that its manifest {path} speaks of: it has the hash {sha256_of(model)[:12]}",
            "convert it again, or name the model file itself",
        )
    return model


def resolve(
    against: str,
    found: Sequence[Path],
    results: Sequence[Path],
    scratch: Path,
    missing: dict[Path, str] | None = None,
    refused: dict[Path, RefusedError] | None = None,
) -> list[Match]:
    """The baseline of each candidate.

    Args:
        results: folders or files with stored runs.
        scratch: an empty folder for what comes out of git.
        missing: gets the candidates that have no baseline yet, each with the reason; None makes them an error.
        refused: gets the candidates whose baseline cannot be trusted; None makes them an error.

    Raises:
        NoBaselineError: it names nothing, or nothing for one of the candidates.
        UsageError: it names too much, or a git ref or a run that is not there.
        RefusedError: the artifact is gone, damaged, foreign, of a later edgeeff, or not the one that was recorded.
    """
    find: Callable[[Path], Match] | None = None
    matches: list[Match] = []
    with _noting(found, missing, refused):
        find = _finder(against, found, results, scratch)
    for candidate in () if find is None else found:
        with _noting([candidate], missing, refused):
            matches.append(_readable(find(candidate)))
    return matches


@contextmanager
def _noting(
    wanted: Sequence[Path], missing: dict[Path, str] | None, refused: dict[Path, RefusedError] | None
) -> Iterator[None]:
    """Notes why these candidates have no baseline or none to be trusted, and goes on, where that is allowed."""
    try:
        yield
    except NoBaselineError as error:
        if missing is None:
            raise
        missing.update(dict.fromkeys(wanted, error.message))
    except RefusedError as error:
        if refused is None:
            raise
        refused.update(dict.fromkeys(wanted, error))


def _readable(match: Match) -> Match:
    """The match, whose baseline is a model file indeed."""
    with refusing(match.origin):
        if read_manifest(match.baseline) is None:
            inspected(match.baseline)
    return match


def _finder(against: str, found: Sequence[Path], results: Sequence[Path], scratch: Path) -> Callable[[Path], Match]:
    """What finds a candidate's baseline where `--against` says."""
    path = Path(against)
    if not against.startswith(("git:", "run:")) and path.exists():
        return _in_folder(path) if path.is_dir() else _the_file(path, found)
    if not against.startswith("run:"):
        tree = GitTree.of(against.removeprefix("git:"), required=against.startswith("git:"))
        if tree is not None:
            return lambda candidate: _in_tree(tree, candidate, scratch)
    if not against.startswith("git:"):
        runs = stored(against.removeprefix("run:"), results)
        if runs:
            return lambda candidate: in_runs(against, runs, candidate)
    kind = UsageError if against.startswith("run:") else NoBaselineError
    raise kind(
        f"--against {against!r} is no file, no folder, no git ref and no stored run",
        "a stored run is run:ID, of a session, measurement or artifact; "
        "the first build, which has no baseline yet, takes --allow-missing-baseline",
    )


def _the_file(path: Path, found: Sequence[Path]) -> Callable[[Path], Match]:
    if len(found) > 1:
        raise UsageError(
            f"{len(found)} candidates cannot all be compared with the one file {path}",
            "name a folder of baselines: each is matched by variant, format and precision",
        )
    with refusing(path):
        baseline = artifact_file(path)
    return lambda candidate: Match(label(candidate), candidate, baseline, str(baseline))


def _in_folder(path: Path) -> Callable[[Path], Match]:
    """Of a folder; that of `edgeeff baseline save` is checked first: what is lost there was not missing all along."""
    with refusing(path):
        if (path / INDEX).exists():
            read(path)
        inside = [(file, read_manifest(file)) for file in model_files(path, ())]

    def find(candidate: Path) -> Match:
        baseline = _best(candidate, inside, str(path))
        return Match(label(candidate), candidate, baseline, str(baseline))

    return find


def _best(candidate: Path, choices: Sequence[tuple[Path, Artifact | None]], where: str) -> Path:
    """The file that is the candidate's counterpart: by variant, format and precision, else by its name."""
    ours = read_manifest(candidate)
    if ours is not None:
        alike = [file for file, theirs in choices if theirs is not None and _key(theirs) == _key(ours)]
        named = [file for file in alike if file.name == candidate.name]
        if len(alike) > 1 and len(named) != 1:
            names = ", ".join(sorted(file.name for file in alike))
            raise UsageError(f"{where} has several baselines of {label(candidate)}: {names}", "name the file")
        if alike:
            return (named or alike)[0]
    by_name = [file for file, _ in choices if file.name == candidate.name]
    if not by_name:
        raise NoBaselineError(
            f"{where} has no baseline of {label(candidate)} ({candidate})",
            "it is matched by variant, format and precision of the manifests, else by the file's name",
        )
    return by_name[0]


def _key(artifact: Artifact) -> tuple[str | None, str, str, str]:
    return artifact.family, artifact.variant, artifact.format, artifact.precision


def _in_tree(tree: GitTree, candidate: Path, scratch: Path) -> Match:
    """The candidate's counterpart in the tree of a commit: in the same place, or else by the manifests.

    Where only the manifests are in git, the file of that hash is looked for here.
    """
    folder, names = scratch / tree.commit, tree.files()
    relative = tree.path_of(candidate)
    chosen = relative.as_posix() if relative is not None else ""
    if chosen not in names and f"{chosen}.json" not in names:
        chosen = _by_manifest(tree, names, candidate)
    origin = f"{tree.name}:{chosen}"
    if chosen in names:
        if f"{chosen}.json" in names:
            tree.write(f"{chosen}.json", folder)
        return Match(label(candidate), candidate, tree.write(chosen, folder), origin)
    sha256 = str(_manifest(tree, f"{chosen}.json").get("sha256"))
    file = of_hash(sha256, beside(Path(chosen), candidate))
    if file is None:
        raise RefusedError(
            f"{origin} is not in git; its manifest pins the hash {sha256[:12]}, and no file here has it",
            "edgeeff baseline restore brings pinned files back",
        )
    return Match(label(candidate), candidate, file, f"{origin} ({sha256[:12]})")


def _by_manifest(tree: GitTree, names: Sequence[str], candidate: Path) -> str:
    """The path of the model file whose manifest says what the candidate's says, or that has its name."""
    ours, suffix = read_manifest(candidate), candidate.suffix.lower()
    alike = []
    for name in names:
        if ours is not None and name.lower().endswith(f"{suffix}.json"):
            theirs = _manifest(tree, name)
            if tuple(theirs.get(key) for key in ("family", "variant", "format", "precision")) == _key(ours):
                alike.append(name.removesuffix(".json"))
    alike = alike or [name for name in names if Path(name).name == candidate.name]
    if len(alike) != 1:
        which = f"several baselines ({', '.join(alike)})" if alike else "no baseline"
        kind = UsageError if alike else NoBaselineError
        raise kind(f"{tree.name} has {which} of {label(candidate)}", "name a file, or keep one in the same place")
    return alike[0]


def _manifest(tree: GitTree, name: str) -> dict[str, object]:
    try:
        document = json.loads(tree.read(name))
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
