"""The language of a runner that times two models against each other (benchmarks/_runner/__init__.py, mode "pair")."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edgeeff.codec import decode
from edgeeff.compare import Answer, Pair, PairResult
from edgeeff.measuring.commands import Command, Output, PairRequest
from edgeeff.measuring.records import CURES, RecordRunner, on_cpus, one_line, read_record, why_failed
from edgeeff.values import Launch, TensorSpec

SIDES = ("candidate", "baseline")

CLOCK_TOLERANCE_S = 0.5
"""By how much the monotonic clock and the clock of the day may differ over one launch, beside a tenth of it."""


@dataclass(frozen=True, slots=True)
class PairRecordRunner(RecordRunner):
    """A runner that speaks this language as well."""

    def pair_command(self, request: PairRequest) -> Command:
        return Command(on_cpus(request.cpus, self.argv), stdin=json.dumps(spec(request)))

    def started_by(self, python: Sequence[str]) -> PairRecordRunner:
        return PairRecordRunner((*python, self.argv[-1]))

    def parse_pair(self, output: Output) -> PairResult:
        return parse(output)


def spec(request: PairRequest) -> dict[str, Any]:
    """A request as the runner gets it."""
    fields = asdict(request)
    sides = {name: {key: value for key, value in fields.pop(name).items() if value} for name in SIDES}
    policy = fields.pop("policy")
    del fields["cpus"]
    return {"mode": "pair", "sides": sides, **fields, **policy}


def parse(output: Output) -> PairResult:
    """A paired launch from the records; whatever is wrong with them is its error."""
    records = list(filter(None, map(read_record, output.lines)))
    found = {(str(record["record"]), str(record.get("side"))): record for record in records}
    sides = {name: found.get(("loaded", name), {}) for name in SIDES}
    pairs = found.get(("pairs", "None"), {})
    error = _why(records, output, bool(pairs))
    try:
        return PairResult(_pair(pairs, sides, error), *(_answer(found.get(("outputs", name))) for name in SIDES))
    except (ValueError, KeyError, TypeError, binascii.Error) as fault:
        return PairResult(failed(f"the runner's records make no sense: {fault}"))


def failed(error: str) -> Pair:
    """A launch that gave nothing."""
    nothing = Launch(0, (), 0.0, error=one_line(error))
    return Pair(0, nothing, nothing, error=one_line(error))


def _pair(pairs: dict[str, Any], sides: Mapping[str, dict[str, Any]], error: str | None) -> Pair:
    launches = {}
    for name in SIDES:
        samples = {"samples_ns": pairs.get(f"{name}_ns", []), "cpu_ns": pairs.get(f"{name}_cpu_ns")}
        samples["voluntary_switches"] = pairs.get(f"{name}_voluntary_switches")
        common = {"index": 0, "started_unix_s": 0.0, "warmup_runs": pairs.get("warmup_runs"), "error": error}
        launches[name] = decode(Launch, {**sides[name], **samples, **common})
    shared = {key: value for key, value in pairs.items() if key not in ("record", "side")}
    placeholder = {"samples_ns": [], "index": 0, "started_unix_s": 0.0}
    pair = decode(Pair, {**shared, "index": 0, **dict.fromkeys(SIDES, placeholder)})
    fault = _clock_fault(pair, launches["candidate"].samples_ns, launches["baseline"].samples_ns)
    problem = error or _incomplete(pair, launches["candidate"].samples_ns, launches["baseline"].samples_ns) or fault
    return Pair(
        0,
        launches["candidate"],
        launches["baseline"],
        pair.candidate_first,
        pair.candidate_loaded_first,
        elapsed_s=pair.elapsed_s,
        clock_s=pair.clock_s,
        involuntary_switches=pair.involuntary_switches,
        error=problem,
        clock_fault=problem is not None and problem == fault,
    )


def _incomplete(pair: Pair, candidate_ns: Sequence[int], baseline_ns: Sequence[int]) -> str | None:
    if not len(candidate_ns) == len(baseline_ns) == len(pair.candidate_first):
        return "the runner gave the two sides different numbers of samples"
    return None if candidate_ns else "the runner gave no samples"


def _clock_fault(pair: Pair, candidate_ns: Sequence[int], baseline_ns: Sequence[int]) -> str | None:
    """Why the times cannot be what they say; None where they can."""
    if min((*candidate_ns, *baseline_ns), default=1) <= 0:
        return "a call took no time or less: the clock jumped, or is too coarse for this model"
    if pair.elapsed_s is not None and pair.clock_s is not None:
        apart = abs(pair.elapsed_s - pair.clock_s)
        if apart > max(CLOCK_TOLERANCE_S, 0.1 * pair.elapsed_s):
            return f"the clock jumped by {apart:.1f} s during this launch"
    return None


def _why(records: Sequence[Mapping[str, Any]], output: Output, complete: bool) -> str | None:
    """Why a launch gave no samples, in one line; None where it gave some."""
    for record in records:
        if record["record"] == "error":
            code, message = str(record.get("code")), str(record.get("message"))
            return one_line(f"{message}; {CURES[code]}" if code in CURES else message)
    if output.failure is not None:
        return why_failed(output.failure, _stage(records))
    return None if complete else "the runner gave no samples"


def _stage(records: Sequence[Mapping[str, Any]]) -> str:
    stages = [record for record in records if record["record"] == "stage"]
    if not stages:
        return "before a model was loaded"
    side, stage = stages[-1].get("side"), stages[-1].get("stage")
    return {"load": f"while the {side} was loaded", "run": f"while the {side} ran"}.get(
        str(stage), "while the two took turns"
    )


def _answer(record: dict[str, Any] | None) -> Answer | None:
    if record is None:
        return None
    import numpy as np

    inputs = tuple(decode(TensorSpec, port) for port in record["inputs"])
    outputs = [np.frombuffer(base64.b64decode(value["values"]), "<f4") for value in record["outputs"]]
    shapes = [tuple(int(n) for n in value["shape"]) for value in record["outputs"]]
    return Answer(inputs, tuple(outputs), tuple(shapes))
