"""A latency model of one device: what each kind of op costs there, fitted to a few measured networks.

The latency of a network is the sum over its ops of what an op of that kind costs for itself, for each multiply-add
and for each element that it reads or writes. It is fitted to whole-network latencies, since those are what is asked
for: what a profiler adds, and what a runtime fuses, is then in the costs. ProxylessNAS (Cai et al. 2019, arXiv
1812.00332, section 3.2.1) and nn-Meter (Zhang et al. 2021) predict by sums over ops too, from a table and from kernels.

A prediction is an estimate, and is called so. A network outside what was measured is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeeff.costs import Costs as NetworkCosts
from edgeeff.costs import OpCost
from edgeeff.documents import read_document, write_document
from edgeeff.errors import UsageError
from edgeeff.graph import Graph, Node
from edgeeff.ops import Conv2d, op_kind
from edgeeff.values import DeviceInfo
from edgeeff.wording import counted

Costs = Mapping[str, float]
"""Term -> how much of it a network has: ops, multiply-adds (in millions) or elements (in millions) of a kind."""

REACH = 1.15
"""How far beyond the measured networks a prediction is given, as a factor on their multiply-adds and elements."""

LEAST_NETWORKS = 8
"""Fewer would leave nothing to judge the model by."""


def costs(graph: Graph) -> dict[str, float]:
    """What of each term a graph has.

    Terms are "KIND ops", "KIND Mmac" and "KIND Mel"; kinds are groups of ops whose kernels are alike.
    """
    found: dict[str, float] = {}
    for node in graph.nodes:
        if not node.inputs:
            continue
        kind = kernel(graph, node)
        elements = sum(math.prod(graph.shapes[name]) for name in (*node.inputs, node.name))
        for unit, amount in (("ops", 1.0), ("Mmac", graph.node_macs(node) / 1e6), ("Mel", elements / 1e6)):
            if amount:
                found[f"{kind} {unit}"] = found.get(f"{kind} {unit}", 0.0) + amount
    return found


def costs_without_graph(found: NetworkCosts) -> dict[str, float]:
    """The same as `costs` of the network's graph, from a family's own counting: without torch, in a millisecond."""
    terms: dict[str, float] = {}
    for op in found.ops:
        kind = _kernel_of(op, found)
        elements = sum(map(found.elements_of, op.inputs)) + op.elements
        for unit, amount in (("ops", 1.0), ("Mmac", op.macs / 1e6), ("Mel", elements / 1e6)):
            if amount:
                terms[f"{kind} {unit}"] = terms.get(f"{kind} {unit}", 0.0) + amount
    return terms


def _kernel_of(op: OpCost, found: NetworkCosts) -> str:
    if op.kind == "depthwise_conv2d":
        return f"depthwise {op.kernel}"
    if op.kind == "dense":
        return "vector"
    if op.kind == "conv2d":
        if math.prod(op.shape[1:]) == 1:
            return "vector"
        return "pointwise" if op.kernel == 1 else "convolution"
    return _plain_kind(op.kind)


def kernel(graph: Graph, node: Node) -> str:
    """The group of kernels that computes a node: "pointwise", "depthwise 5", "vector", "elementwise" ..."""
    if isinstance(node.op, Conv2d):
        size, channels = node.op.weight.shape[2], graph.shapes[node.inputs[0]][1]
        if node.op.groups == channels and node.op.groups > 1:
            return f"depthwise {size}"
        if math.prod(graph.shapes[node.name][2:]) == 1:
            return "vector"  # a matrix times a vector: the branch of squeeze-and-excitation
        return "pointwise" if size == 1 else "convolution"
    kind = op_kind(node.op)
    return "vector" if kind == "dense" else _plain_kind(kind)


def _plain_kind(kind: str) -> str:
    if kind in ("add", "sub", "mul", "div"):
        return "binary"
    return "free" if kind in ("reshape", "constant") else kind


@dataclass(frozen=True, slots=True)
class Sample:
    """A measured network: what it has of each term, and its latency."""

    name: str
    costs: Costs
    latency_s: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """A predicted latency, and how far the model was off on networks that it had not seen.

    `error` is the median, `worst` the largest relative error over the measured networks, each predicted from the
    others (leave one out).
    """

    latency_s: float
    error: float
    worst: float


@dataclass(frozen=True, slots=True)
class Setting:
    """What a model holds for, beside the device: another runtime, precision or number of threads has its own."""

    format: str
    precision: str
    runtime: str
    threads: int
    accelerator: str = "cpu"

    def __str__(self) -> str:
        threads = counted(self.threads, "thread")
        return f"{self.precision} {self.format} on {self.runtime}, {self.accelerator}, {threads}"


@dataclass(frozen=True, slots=True)
class LatencyModel:
    """Seconds for each unit of each term, and what they were fitted to."""

    seconds: Mapping[str, float]
    samples: tuple[Sample, ...]
    error: float
    worst: float

    def predict(self, found: Costs) -> Estimate:
        """The latency of a network with these costs.

        Raises:
            UsageError: the network is larger or smaller than all that was measured, or has ops that none of them has.
        """
        self._refuse_foreign(found)
        return Estimate(_total(self.seconds, found), self.error, self.worst)

    def _refuse_foreign(self, found: Costs) -> None:
        unknown = sorted({term.rpartition(" ")[0] for term in found if term not in self.seconds})
        if unknown:
            raise UsageError(
                f"the latency model has seen no {', '.join(unknown)}: it was fitted to {_names(self.samples)}",
                "measure the network itself: edgeeff bench",
            )
        for unit, what in (("Mmac", "million multiply-adds"), ("Mel", "million elements read and written")):
            amounts = [_amount(sample.costs, unit) for sample in self.samples]
            low, high, amount = min(amounts) / REACH, max(amounts) * REACH, _amount(found, unit)
            if not low <= amount <= high:
                raise UsageError(
                    f"{amount:.3g} {what} lie outside the {low:.3g} to {high:.3g} that the latency model covers",
                    "measure the network itself: edgeeff bench",
                )


def fit(samples: Sequence[Sample]) -> LatencyModel:
    """Fits the costs of all terms, none negative, to the least relative error.

    Raises:
        UsageError: there are too few samples to fit and to judge a model.
    """
    if len(samples) < LEAST_NETWORKS:
        raise UsageError(f"{len(samples)} measured networks make no latency model: it takes {LEAST_NETWORKS} or more")
    errors = []
    for index, left_out in enumerate(samples):
        others = [*samples[:index], *samples[index + 1 :]]
        errors.append(abs(_total(_fit(others), left_out.costs) / left_out.latency_s - 1))
    return LatencyModel(_fit(samples), tuple(samples), float(np.median(errors)), max(errors))


def _fit(samples: Sequence[Sample]) -> dict[str, float]:
    terms = sorted({term for sample in samples for term in sample.costs})
    latencies = np.array([sample.latency_s for sample in samples])
    amounts = np.array([[sample.costs.get(term, 0.0) for term in terms] for sample in samples])
    # Relative errors count, so each row is divided by its latency; and each column by its size, for the descent.
    rows = amounts / latencies[:, None]
    sizes = np.linalg.norm(rows, axis=0)
    found = non_negative_least_squares(rows / sizes, np.ones(len(samples)))
    return {term: float(value) for term, value in zip(terms, found / sizes, strict=True)}


def non_negative_least_squares(
    matrix: NDArray[np.float64], target: NDArray[np.float64], ridge: float = 1e-3
) -> NDArray[np.float64]:
    """x >= 0 with the least |matrix x - target|^2 + ridge |x|^2, by coordinate descent.

    Franc et al. 2005, "Sequential coordinate-wise algorithm for the non-negative least squares problem". The ridge
    shares a cost among terms that always come together, rather than giving it to whichever fits the noise best.
    """
    gram = matrix.T @ matrix + ridge * np.eye(matrix.shape[1])
    x = np.zeros(matrix.shape[1])
    gradient = -(matrix.T @ target)
    for _ in range(20_000):
        largest = 0.0
        for i in range(len(x)):
            step = max(x[i] - gradient[i] / gram[i, i], 0.0) - x[i]
            if step:
                x[i] += step
                gradient += step * gram[:, i]
                largest = max(largest, abs(step))
        if largest < 1e-12:
            break
    return x


def _total(seconds: Mapping[str, float], found: Costs) -> float:
    return sum(seconds.get(term, 0.0) * amount for term, amount in found.items())


def _amount(found: Costs, unit: str) -> float:
    return sum(amount for term, amount in found.items() if term.endswith(f" {unit}"))


def _names(samples: Iterable[Sample]) -> str:
    return ", ".join(sample.name for sample in samples)


SCHEMA = 1
"""1 (2026-11): device, setting, runtime_version, model (samples with their costs, and the seconds fitted to them)."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A fitted model with what it holds for."""

    device: DeviceInfo
    setting: Setting
    runtime_version: str | None
    model: LatencyModel
    created_unix_s: float


def path_of(folder: Path, device: str, setting: Setting) -> Path:
    """The file of a model: one for each device and setting."""
    parts = (device, setting.runtime, setting.format, setting.precision, setting.accelerator, f"{setting.threads}t")
    return folder / f"{re.sub(r'[^A-Za-z0-9.-]+', '-', '-'.join(parts))}.json"


def save(stored: Stored, folder: Path) -> Path:
    """Writes a model, replacing an earlier one of the same device and setting."""
    path = path_of(folder, stored.device.name, stored.setting)
    write_document(path, stored, SCHEMA)
    return path


def load(folder: Path, device: DeviceInfo, setting: Setting) -> Stored:
    """The model of a device and setting.

    Raises:
        UsageError: there is none, it is damaged or from a later edgeeff, or it was fitted on another machine.
    """
    path = path_of(folder, device.name, setting)
    asked = f"--format {setting.format} --precision {setting.precision} --threads {setting.threads} --models {folder}"
    cure = f"fit one, which takes some minutes: edgeeff predict --fit --device {device.name} {asked}"
    if not path.exists():
        raise UsageError(f"there is no latency model of {device.name} for {setting} in {folder}", cure)
    try:
        stored = read_document(path, Stored, SCHEMA)
    except ValueError as error:
        raise UsageError(f"{path} is not a latency model of edgeeff", cure) from error
    if (stored.device.model, stored.device.abi) != (device.model, device.abi):
        found = f"{stored.device.model} ({stored.device.abi})"
        raise UsageError(f"{path} was fitted on {found}, and this is {device.model} ({device.abi})", cure)
    return stored
