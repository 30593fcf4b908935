"""Runs one file, or two side by side, over images: what each says of each image."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeeff.errors import MeasurementError, MissingExtraError, UsageError
from edgeeff.evaluation.classifier import Classifier, Preparation
from edgeeff.evaluation.dataset import Example
from edgeeff.images import preprocess

TOP = 5
_AHEAD = 8
"""Images that are decoded while others run: enough to keep two decoders busy, and 5 MB at 224 pixels."""

_DECODERS = 2

Image = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Prediction:
    """One image's outcome.

    Args:
        name: of the example.
        top: for each file, the outputs with the largest values, the largest first.
        signal: sum of squares of the second file's outputs, 0 where there is none.
        noise: sum of squares of the difference between the two files' outputs.
        fault: why the image could not be used; all else is then empty.
    """

    name: str
    top: tuple[tuple[int, ...], ...] = ()
    signal: float = 0.0
    noise: float = 0.0
    fault: str | None = None


def predict(examples: Sequence[Example], files: Sequence[Classifier]) -> Iterator[Prediction]:
    """Each example's prediction, in their order, as it is made. Images are decoded in threads meanwhile.

    Args:
        files: one file, or two whose outputs are compared.

    Raises:
        MeasurementError: a file gives values that are not finite.
    """
    wanted = list(dict.fromkeys(file.preparation for file in files))
    for example, images in _decoded(examples, wanted):
        if isinstance(images, UsageError):
            yield Prediction(example.name, fault=images.message)
            continue
        ready = dict(zip(wanted, images, strict=True))
        try:
            outputs = [file(ready[file.preparation]) for file in files]
        except MeasurementError as error:
            raise MeasurementError(f"{error.message} for {example.path}", error.hint) from error
        yield _prediction(example.name, outputs)


def _prediction(name: str, outputs: Sequence[NDArray[np.float64]]) -> Prediction:
    top = tuple(_best(values) for values in outputs)
    if len(outputs) < 2:
        return Prediction(name, top)
    ours, reference = outputs
    return Prediction(name, top, float(np.sum(reference**2)), float(np.sum((ours - reference) ** 2)))


def _best(values: NDArray[np.float64]) -> tuple[int, ...]:
    """Of outputs that are equal, as integers often are, the one with the lower index comes first."""
    return tuple(int(i) for i in np.argsort(-values, kind="stable")[:TOP])


def _decoded(
    examples: Iterable[Example], wanted: Sequence[Preparation]
) -> Iterator[tuple[Example, list[Image] | UsageError]]:
    """The examples with their images in each of the forms that are wanted."""
    waiting: deque[tuple[Example, Future[list[Image] | UsageError]]] = deque()
    remaining = iter(examples)
    with ThreadPoolExecutor(_DECODERS) as pool:

        def send(n: int) -> None:
            waiting.extend((example, pool.submit(_decode, example.path, wanted)) for example in islice(remaining, n))

        try:
            send(_AHEAD)
            while waiting:
                example, future = waiting.popleft()
                send(1)
                yield example, future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _decode(path: Path, wanted: Sequence[Preparation]) -> list[Image] | UsageError:
    try:
        return [preprocess(path, one.resolution, one.normalisation) for one in wanted]
    except MissingExtraError:
        raise
    except UsageError as error:
        return error
