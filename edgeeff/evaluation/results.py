"""What `edgeeff report --accuracy` reads: a file of accuracies, one entry a model file, kept from run to run."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgeeff.errors import UsageError
from edgeeff.evaluation.scores import Evaluation, Scores
from edgeeff.files import read_bytes, replacing

NAME = "accuracies.json"


def entries(found: Evaluation) -> list[dict[str, Any]]:
    """An entry for each file that was scored. Shares are stored as counts: intervals are computed when read."""
    made = []
    for scores in found.files:
        if scores.top1 is not None:
            made.append(_entry(found, scores, scores.top1.count, scores.top1.total))
    comparison = found.comparison
    if made and comparison is not None and comparison.right is not None:
        made[0]["against"] = {"sha256": found.files[1].file.sha256, **asdict(comparison.right)}
    return made


def _entry(found: Evaluation, scores: Scores, correct: int, images: int) -> dict[str, Any]:
    file = scores.file
    return {
        "sha256": file.sha256,
        "file": str(file.path.absolute()),
        "top1": correct / images,
        "correct": correct,
        "images": images,
        "top5": scores.top5.value if scores.top5 else None,
        "data": str(found.dataset.root.absolute()),
        "classes": found.dataset.classes,
        "runtime": file.runtime,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def merge(path: Path, made: list[dict[str, Any]]) -> None:
    """Puts entries into the file, in the place of those of the same model file; all others stay.

    Raises:
        UsageError: what stands there is not a file of accuracies, or it cannot be written.
    """
    kept = [entry for entry in _present(path) if not any(_is_same(entry, new) for new in made)]
    with replacing(path) as temporary:
        temporary.write_text(json.dumps({"accuracies": [*kept, *made]}, indent=1) + "\n", encoding="utf-8")


def _present(path: Path) -> list[Mapping[str, Any]]:
    if not path.exists():
        return []
    try:
        found = json.loads(read_bytes(path))["accuracies"]
        if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(f"{path} is not a file of accuracies", "move it away, or choose another --out") from error
    return found


def _is_same(entry: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """The same bytes, or what stood under the same name before it was written anew."""
    return any(entry.get(key) == new[key] for key in ("sha256", "file"))
