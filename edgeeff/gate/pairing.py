"""One paired launch on a device: both sides in turns where the runner can, else one process after the other."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from edgeeff.compare import Pair, PairResult
from edgeeff.gate.past import Past
from edgeeff.measuring.commands import LaunchPolicy, PairPolicy, PairRequest, PairSide
from edgeeff.measuring.launch import Case, Pushed, run_command, run_launch
from edgeeff.protocols import Device, PairingRunner
from edgeeff.values import DeviceState


@dataclass(frozen=True, slots=True)
class GateCase:
    """What is compared with what.

    Args:
        candidate_python, baseline_python: the interpreter of a side, where it has one of its own.
        past: the baseline is the reference model, and the candidate is compared with an earlier run against it.
    """

    id: str
    name: str
    candidate: Case
    baseline: Case
    candidate_python: tuple[str, ...] = ()
    baseline_python: tuple[str, ...] = ()
    past: Past | None = None


@dataclass(frozen=True, slots=True)
class Bench:
    """Both sides on the device, ready to be launched.

    Args:
        candidate, baseline: where they were pushed.
    """

    case: GateCase
    device: Device
    candidate: Pushed
    baseline: Pushed
    policy: PairPolicy = field(default_factory=PairPolicy)

    @property
    def runner(self) -> PairingRunner | None:
        """What lets both take turns; None where one of the two runners takes a single model."""
        ours, theirs = self.candidate.runner, self.baseline.runner
        return ours if isinstance(ours, PairingRunner) and isinstance(theirs, PairingRunner) else None

    def launch(self, index: int, seed: int, before: DeviceState, *, outputs: bool) -> PairResult:
        """Runs one paired launch; whatever goes wrong in it is its error.

        Args:
            seed: of the order of the calls, or of the two processes.
            before: the device's state, which has just been read.
            outputs: whether the sides are to give their outputs.

        Raises:
            DeviceError: the device was lost.
        """
        started = time.time()
        runner = self.runner
        if runner is None:
            result = PairResult(self._one_after_the_other(index, candidate_first=seed % 2 == 0))
        else:
            command = runner.pair_command(self._request(seed, outputs=outputs))
            result = runner.parse_pair(run_command(self.device, command, self.policy.timeout_s))
        after = self.device.state()
        pair = replace(
            result.pair, index=index, seed=seed, started_unix_s=started, state_before=before, state_after=after
        )
        if before.boot_id != after.boot_id:
            pair = replace(pair, error="the device rebooted during this launch")
        return replace(result, pair=pair)

    def _request(self, order_seed: int, *, outputs: bool) -> PairRequest:
        ours, theirs = self.case.candidate, self.case.baseline
        context = ours.measurement
        return PairRequest(
            PairSide(self.candidate.model, context.runtime, self.case.candidate_python),
            PairSide(self.baseline.model, theirs.measurement.runtime, self.case.baseline_python),
            context.accelerator,
            context.threads,
            context.seed,
            order_seed,
            ours.shapes,
            outputs,
            self.policy,
            context.cpus,
        )

    def _one_after_the_other(self, index: int, *, candidate_first: bool) -> Pair:
        """Neighbouring launches: coarser, since the two do not share their moment."""
        policy = LaunchPolicy()
        if candidate_first:
            ours = run_launch(self.case.candidate, self.device, self.candidate, policy, index)
        theirs = run_launch(self.case.baseline, self.device, self.baseline, policy, index)
        if not candidate_first:
            ours = run_launch(self.case.candidate, self.device, self.candidate, policy, index)
        errors = [f"the {n}: {x.error}" for n, x in (("candidate", ours), ("baseline", theirs)) if x.error is not None]
        error = "; ".join(errors) or None
        return Pair(index, ours, theirs, candidate_first=(candidate_first,), interleaved=False, error=error)
