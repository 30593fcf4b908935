"""Times model files against each other, call by call, in one process; is run as a module of its own.

It reads a JSON object from standard input: runtime, format, paths, resolution, threads, seed, rounds, max_s. It
writes one to standard output: for each path, in their order, the samples in nanoseconds (the n-th samples of all
paths were taken in the n-th round) and the distance of its outputs from the first path's in dB.

Neighbouring calls share the machine's state, which drifts far more between processes than files differ.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeeff import registry
from edgeeff.benchmarks._runner._measure import load, warm_up
from edgeeff.networks import noise
from edgeeff.parity import sqnr_db
from edgeeff.ports import real_values, stored

if TYPE_CHECKING:
    from edgeeff.protocols import Array, Session

_MIN_ROUNDS = 5
_WARM_UP_RUNS, _WARM_UP_S = 3, 0.25


def distances_db(runtime_name: str, format_name: str, paths: Sequence[Path], resolution: int) -> list[float]:
    """How far each file's outputs are from the first one's, on the same noise."""
    (image,) = noise([(1, 3, resolution, resolution)])
    laid = registry.converter(format_name).layout(image)
    runtime = registry.runtime(runtime_name)
    outputs = [_outputs(runtime.open(path), laid) for path in paths]
    return [sqnr_db(outputs[0], output) for output in outputs]


def _outputs(session: Session, image: Array) -> list[Array]:
    """What the file's outputs stand for, whatever types it takes and gives."""
    given = [stored(image.astype("float32"), session.inputs[0])]
    return [real_values(value, port) for value, port in zip(session(given), session.outputs, strict=True)]


def interleave(invokes: Sequence[Callable[[], Any]], rng: random.Random, rounds: int, max_s: float) -> list[list[int]]:
    """Nanoseconds of single calls; every round calls each once, in random order."""
    samples: list[list[int]] = [[] for _ in invokes]
    clock = time.perf_counter_ns
    end = clock() + int(max_s * 1e9)
    for done in range(rounds):
        if done >= _MIN_ROUNDS and clock() > end:
            break
        for index in rng.sample(range(len(invokes)), len(invokes)):
            start = clock()
            invokes[index]()
            samples[index].append(clock() - start)
    return samples


def main() -> None:
    spec = json.load(sys.stdin)
    paths = [Path(path) for path in spec["paths"]]
    apart = distances_db(spec["runtime"], spec["format"], paths, spec["resolution"])
    rng = random.Random(spec["seed"])
    invokes: list[Callable[[], Any]] = [lambda: None] * len(paths)
    order = rng.sample(range(len(paths)), len(paths))  # which is loaded first has an influence of its own
    for index in order:
        wanted = {"model": str(paths[index]), "runtime": spec["runtime"], "accelerator": "cpu"}
        invokes[index] = load(wanted | {"threads": spec["threads"], "seed": 0, "shapes": {}}).invoke
    for index in order:
        warm_up(invokes[index], _WARM_UP_RUNS, _WARM_UP_S)
    samples = interleave(invokes, rng, spec["rounds"], spec["max_s"])
    print(json.dumps({"samples_ns": samples, "distances_db": apart}))


if __name__ == "__main__":
    main()
