"""The manifest beside each converted file: what it is, what it wants as input, and how it was checked.

`b0-fp32.tflite` has `b0-fp32.tflite.json` beside it. A file without one is as good to bench; what is known of
it is then read from the file itself.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from edgeeff.documents import read_document
from edgeeff.errors import UsageError
from edgeeff.files import replacing, sha256_of
from edgeeff.values import Artifact

SCHEMA = 1
"""1 (2026-11): the fields of `values.Artifact`, with `path` as the bare file name."""


def manifest_path(path: Path) -> Path:
    """Where the manifest of a model file is."""
    return path.with_name(path.name + ".json")


def to_json(artifact: Artifact) -> dict[str, Any]:
    """The manifest as JSON-ready values."""
    return {**dataclasses.asdict(artifact), "path": str(artifact.path)}


def write_manifest(artifact: Artifact) -> Path:
    """Writes the manifest beside the artifact and returns its path."""
    target = manifest_path(artifact.path)
    document = {"schema": SCHEMA, **to_json(artifact), "path": artifact.path.name}
    with replacing(target) as temporary:
        temporary.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return target


def read_manifest(path: Path) -> Artifact | None:
    """The manifest of a model file, or None where it has none or the manifest is of other bytes.

    A manifest speaks for one content only: after the file was written anew by another tool it is void.

    Raises:
        UsageError: the manifest is damaged or from a later version of edgeeff.
    """
    source = manifest_path(path)
    if not source.exists():
        return None
    try:
        artifact = read_document(source, Artifact, SCHEMA, replaced={"path": str(path)})
    except ValueError as error:
        raise UsageError(f"{source} is not a manifest of edgeeff", "delete it, or convert the file again") from error
    return artifact if artifact.sha256 == sha256_of(path) else None
