"""The grid search of Tan & Le 2019 (section 3.3, step 1) with accuracies that are measured: each triple is trained.

The results are lines of JSON, each on disk as soon as it is there: a search that is stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgeeff.errors import UsageError
from edgeeff.files import read_bytes, replacing
from edgeeff.protocols import ModelFamily
from edgeeff.scaling.compound import round_resolution
from edgeeff.scaling.solve import Bases
from edgeeff.training import ImageFolder, Recipe, accuracy
from edgeeff.values import Variant

SCHEMA = 1
"""1 (2026-11): a header, then a line a triple: alpha, beta, gamma, top1, macs, seconds."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """What stands for the base: it is this wide and takes images of this size before the triple scales it."""

    width: float = 0.5
    depth: float = 1.0
    resolution: int = 64


@dataclass(frozen=True, slots=True)
class Trained:
    """A triple, and what its proxy reached; `top1` is a fraction of the held-out images."""

    bases: Bases
    top1: float
    macs: int
    seconds: float


def proxy_of(base: Variant, family: ModelFamily, proxy: Proxy, bases: Bases) -> Variant:
    """The network that is trained for a triple at phi = 1."""
    return family.scaled(
        base,
        width=base.width * proxy.width * bases.beta,
        depth=base.depth * proxy.depth * bases.alpha,
        resolution=round_resolution(proxy.resolution * bases.gamma),
    )


def run(
    base: Variant,
    family: ModelFamily,
    triples: Sequence[Bases],
    folder: ImageFolder,
    recipe: Recipe,
    proxy: Proxy,
    out: Path,
) -> Iterator[tuple[Trained, bool]]:
    """Trains the triples that the study does not have yet; yields each result, and whether it was there before.

    Raises:
        UsageError: the study's file is of another version, or damaged, or cannot be written.
    """
    header = _header(base, folder, recipe, proxy)
    path = study_path(out, header)
    done = {trained.bases: trained for trained in _read(path, header)}
    for bases in triples:
        if bases in done:
            yield done[bases], True
            continue
        variant = proxy_of(base, family, proxy, bases)
        began = time.monotonic()
        top1 = accuracy(variant, family, folder, recipe)
        trained = Trained(bases, top1, variant.macs or 0, round(time.monotonic() - began, 1))
        _append(path, header, trained)
        yield trained, False


def study_path(out: Path, header: dict[str, Any]) -> Path:
    """One file for each way of asking, so that no two are mixed."""
    settings = json.dumps(header, sort_keys=True).encode()
    return out / f"scale-search-{header['base']}-{hashlib.sha256(settings).hexdigest()[:8]}.jsonl"


def _header(base: Variant, folder: ImageFolder, recipe: Recipe, proxy: Proxy) -> dict[str, Any]:
    names = "\n".join(f"{p.relative_to(folder.root)}" for part in (folder.trained, folder.held_out) for p in part.paths)
    return {
        "record": "scale-search",
        "base": base.name,
        "classes": list(folder.classes),
        "images": hashlib.sha256(names.encode()).hexdigest()[:16],
        "recipe": asdict(recipe),
        "proxy": asdict(proxy),
    }


def _read(path: Path, header: dict[str, Any]) -> Iterator[Trained]:
    if not path.exists():
        return
    for number, line in enumerate(read_bytes(path).decode(errors="replace").splitlines(), 1):
        try:
            found = json.loads(line)
            if number == 1:
                _check_header(path, found, header)
            else:
                yield Trained(Bases(*found["bases"]), found["top1"], found["macs"], found["seconds"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                f"{path}, line {number} is damaged", "remove the file: its triples are trained anew"
            ) from error


def _check_header(path: Path, found: dict[str, Any], header: dict[str, Any]) -> None:
    if found.get("schema") != SCHEMA:
        raise UsageError(
            f"{path} is of version {found.get('schema')}, and this edgeeff reads {SCHEMA}", "name another --out"
        )
    if {key: value for key, value in found.items() if key != "schema"} != header:
        raise UsageError(f"{path} is of another search", "name another --out")


def _append(path: Path, header: dict[str, Any], trained: Trained) -> None:
    """Adds a line. The file is a few kilobytes, and is replaced as a whole: it is never half of one."""
    bases = trained.bases
    line = {
        "bases": [bases.alpha, bases.beta, bases.gamma],
        "top1": trained.top1,
        "macs": trained.macs,
        "seconds": trained.seconds,
    }
    before = read_bytes(path).decode() if path.exists() else f"{json.dumps({'schema': SCHEMA, **header})}\n"
    with replacing(path) as temporary:
        temporary.write_text(f"{before}{json.dumps(line)}\n")
