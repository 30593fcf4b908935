"""Predictions on disk as they are made, so that a long run that was stopped goes on where it was.

A journal's first line says what is evaluated, each further line is one image's prediction:

    {"record": "evaluation", "schema": 1, "files": [{"sha256": ...}, ...], "data": ..., ...}
    {"record": "prediction", "name": "n01440764/a.jpg", "top": [[0, 391, ...]], ...}

Its name ends in a hash of the first line. What another file, other data or another preparation of images predicts
therefore goes into another journal, and never mixes with this one.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from edgeeff.codec import decode, encode
from edgeeff.errors import UsageError
from edgeeff.evaluation.classifier import Classifier
from edgeeff.evaluation.dataset import Dataset
from edgeeff.evaluation.predictions import Prediction
from edgeeff.files import cannot_write, read_bytes

SCHEMA = 1
"""1 (2026-11): the first."""


def header(files: Sequence[Classifier], dataset: Dataset) -> dict[str, Any]:
    """All that predictions depend on."""
    return {
        "record": "evaluation",
        "schema": SCHEMA,
        "files": [
            {
                "sha256": file.sha256,
                "runtime": file.runtime,
                "resolution": file.preparation.resolution,
                "mean": file.preparation.normalisation.mean,
                "std": file.preparation.normalisation.std,
            }
            for file in files
        ],
        "data": dataset.digest(),
    }


def journal_path(folder: Path, name: str, head: Mapping[str, Any]) -> Path:
    """Where the predictions of this evaluation belong."""
    key = hashlib.sha256(json.dumps(head, sort_keys=True).encode()).hexdigest()
    return folder / f"{name}-{key[:12]}.jsonl"


class Journal:
    """The predictions of one evaluation, as a context: `known` are those that are there already.

    Raises:
        UsageError: from every method, where the folder cannot be written or the journal is damaged; what was written
            before stays.
    """

    def __init__(self, path: Path, head: Mapping[str, Any]) -> None:
        self.path = path
        self.known: dict[str, Prediction] = {}
        self._head = json.dumps(head, separators=(",", ":")).encode() + b"\n"
        self._handle = -1

    def __enter__(self) -> Journal:
        whole = self._read() if self.path.exists() else 0
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            os.ftruncate(self._handle, whole)  # half a line is what a killed writer leaves
            if not whole:
                self._append(self._head)
        except OSError as error:
            raise cannot_write(self.path, error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._handle)

    def add(self, prediction: Prediction) -> None:
        """Appends one prediction."""
        record = {"record": "prediction", **encode(prediction)}
        try:
            self._append(json.dumps(record, allow_nan=False, separators=(",", ":")).encode() + b"\n")
        except OSError as error:
            raise cannot_write(self.path, error) from error
        self.known[prediction.name] = prediction

    def _append(self, line: bytes) -> None:
        while line:
            line = line[os.write(self._handle, line) :]

    def _read(self) -> int:
        """Reads what is there into `known`; returns the length of the lines that are whole."""
        content = read_bytes(self.path)
        end = content.rfind(b"\n") + 1
        lines = content[:end].splitlines()
        if lines and lines[0] + b"\n" != self._head:
            raise self._damaged(1)
        for number, line in enumerate(lines[1:], 2):
            try:
                prediction = decode(Prediction, json.loads(line))
            except (ValueError, RecursionError) as error:
                raise self._damaged(number) from error
            self.known[prediction.name] = prediction
        return end

    def _damaged(self, number: int) -> UsageError:
        return UsageError(f"{self.path}, line {number} is damaged", "delete the file: the images then run anew")
