"""Profiles: how long each op of a file took on a device, and how they are kept.

A profile is one JSON document, `<UTC time>-<id>.profile.json` in the results folder: `Profile` with its fields, and
"schema". Times are raw, one an op and launch; what a report shows is computed when it is read.

Schema history. A field may be added without a new number: readers ignore what they do not know, and what is absent
is unknown.
    1  2026-11  the first.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgeeff.documents import document_of, read_document, write_document
from edgeeff.errors import UsageError
from edgeeff.values import DeviceInfo

SCHEMA = 1
SUFFIX = ".profile.json"


@dataclass(frozen=True, slots=True)
class OpTime:
    """How long one step of the runtime took.

    Args:
        name: of the file's operator that it runs; "" for a step that the runtime added, such as a change of layout.
        kind: the operator's, "conv 1x1" for example, or those of several without multiply-adds, "sigmoid+mul"; of an
            added step the runtime's own word.
        kernel: what the runtime calls that which ran.
        block: the part of the network that it is in; None where the names do not tell, and for added steps.
        macs: multiply-adds of all operators that it runs; None where they cannot be told.
        fused: further operators of the file that ran within it.
        output_shape: of the operator; None where it is not known.
        times_s: for each launch, the median over its runs. Runtimes report whole microseconds, cut off: a step that
            takes less than one reads 0.
    """

    name: str
    kind: str
    kernel: str
    block: str | None
    macs: int | None
    fused: tuple[str, ...]
    output_shape: tuple[int | None, ...] | None
    times_s: tuple[float, ...]

    @property
    def time_s(self) -> float:
        """The median over the launches."""
        return statistics.median(self.times_s)


@dataclass(frozen=True, slots=True)
class Profile:
    """One file's ops, timed in one runtime on one device.

    Args:
        method: what took the times, for example "LiteRT's profiler".
        runs: that were profiled in each launch.
        profiled_s: for each launch, the median of a whole inference under the profiler.
        steps_s: for each launch, the median of what the steps of a run add up to.
        plain_s: a whole inference without the profiler, in the same process; empty where that was not measured.
        ops: in the order in which they ran.
        caveats: what a reader must know.
    """

    id: str
    path: str
    sha256: str
    size_bytes: int
    format: str
    precision: str
    variant: str | None
    weights: str | None
    macs: int | None
    runtime: str
    runtime_version: str | None
    threads: int
    accelerator: str
    device: DeviceInfo
    tool_version: str
    created_unix_s: float
    method: str
    runs: int
    profiled_s: tuple[float, ...]
    steps_s: tuple[float, ...]
    plain_s: tuple[float, ...]
    ops: tuple[OpTime, ...]
    caveats: tuple[str, ...] = field(default=())

    @property
    def inference_s(self) -> float:
        """A whole inference under the profiler."""
        return statistics.median(self.profiled_s)

    @property
    def ops_s(self) -> float:
        """What the ops add up to."""
        return sum(op.time_s for op in self.ops)

    @property
    def outside_share(self) -> float:
        """Of an inference, what is in no step: the runtime's own work, and what its clock cuts off."""
        return max(0.0, 1 - statistics.median(self.steps_s) / self.inference_s) if self.inference_s > 0 else 0.0

    @property
    def interrupted_share(self) -> float:
        """Of what the steps of a run add up to, what their own medians leave out: time in which others ran."""
        whole = statistics.median(self.steps_s)
        return max(0.0, 1 - self.ops_s / whole) if whole > 0 else 0.0

    @property
    def overhead(self) -> float | None:
        """What the profiler itself costs, as a share of an inference without it; None where that was not measured."""
        if not self.plain_s:
            return None
        return statistics.median(self.profiled_s) / statistics.median(self.plain_s) - 1


@dataclass(frozen=True, slots=True)
class Share:
    """Several ops together: those of a kind, or of a block.

    Args:
        share: of the time of all ops.
    """

    name: str
    ops: int
    time_s: float
    share: float
    macs: int | None

    @property
    def macs_per_s(self) -> float | None:
        """None where there are no multiply-adds, or no time that could be measured."""
        return self.macs / self.time_s if self.macs and self.time_s > 0 else None


ADDED = "(added by the runtime)"
OTHER = "(elsewhere)"


def by_kind(profile: Profile) -> list[Share]:
    """The kinds of ops, the longest first."""
    return sorted(_shares(profile, (op.kind if op.name else ADDED for op in profile.ops)), key=lambda s: -s.time_s)


def by_block(profile: Profile) -> list[Share]:
    """The blocks of the network in the order in which they run; empty where the names tell of none."""
    if all(op.block is None for op in profile.ops):
        return []
    shares = _shares(profile, (op.block or (OTHER if op.name else ADDED) for op in profile.ops))
    return sorted(shares, key=lambda share: share.name in (OTHER, ADDED))


def _shares(profile: Profile, keys: Iterable[str]) -> list[Share]:
    groups: dict[str, list[OpTime]] = {}
    for key, op in zip(keys, profile.ops, strict=True):
        groups.setdefault(key, []).append(op)
    total = profile.ops_s
    shares = []
    for key, ops in groups.items():
        time_s = sum(op.time_s for op in ops)
        counts = [op.macs for op in ops]
        macs = None if None in counts else sum(count or 0 for count in counts)
        shares.append(Share(key, len(ops), time_s, time_s / total if total else 0.0, macs))
    return shares


def block_of(name: str) -> str | None:
    """The block that a name is in: its path up to the first part that is numbered, "blocks.3.0" for example.

    Names are paths, with dots as torch has them ("blocks.3.0.depthwise.conv") or slashes as TensorFlow has them
    ("efficientnet/blocks_3/conv2d/Conv2D"). A path without a number is in the block of its first part ("stem"). A name
    that is no path tells nothing.
    """
    parts = re.split(r"([./])", name.strip("/"))
    names = parts[::2]
    if len(names) < 2:
        return name if name.isidentifier() and not re.search(r"\d$", name) else None
    numbered = [bool(re.fullmatch(r"(.*_)?\d+", part)) for part in names]
    if True not in numbered[:-1]:
        return names[0] or None
    end = start = numbered.index(True)
    while end + 1 < len(names) - 1 and numbered[end + 1] and names[start].isdecimal():
        end += 1
    return "".join(parts[: 2 * end + 1])


def write_profile(profile: Profile, folder: Path) -> Path:
    """Writes the profile into the folder, which is made where it is missing, and returns its path."""
    created = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(profile.created_unix_s))
    path = folder / f"{created}-{profile.id}{SUFFIX}"
    write_document(path, profile, SCHEMA)
    return path


def to_json(profile: Profile) -> dict[str, object]:
    """The profile as JSON-ready values."""
    return document_of(profile, SCHEMA)


def read_profile(path: Path) -> Profile:
    """A profile as it was written.

    Raises:
        UsageError: it cannot be read, is damaged, or is from a later version of edgeeff.
    """
    try:
        profile = read_document(path, Profile, SCHEMA)
    except ValueError as error:
        raise UsageError(f"{path} is not a profile of edgeeff: {error}", "make it again: edgeeff profile") from error
    if not profile.profiled_s or not profile.steps_s or any(not op.times_s for op in profile.ops):
        raise UsageError(f"{path} holds no times", "make it again: edgeeff profile")
    return profile


def read_profiles(folder: Path) -> Sequence[Profile]:
    """All profiles of a results folder, the oldest first."""
    return [read_profile(path) for path in sorted(folder.glob(f"*{SUFFIX}"))]
