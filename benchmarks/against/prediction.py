"""How far `edgeeff predict` is off: published networks, none of which the model has seen, predicted and measured.

    edgeeff predict --fit --precision fp32 --precision int8     # the model, from twelve other networks
    python -m edgeeff.benchmarks.against.prediction             # B0 to B4 and Lite0 to Lite4, in the same way

The networks are written, timed and summed up as the model's own are: random weights, the lower edge of the samples.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
from pathlib import Path

from edgeeff import latency_model, probes, registry, stats
from edgeeff.cases import Wanted, build_cases
from edgeeff.converters import quantize_for_timing, trace
from edgeeff.harness import Policy, run_session
from edgeeff.networks import from_variant
from edgeeff.report._table import Column, Table, text
from edgeeff.targets import resolve
from edgeeff.weights import load

NAMES = ("b0", "b1", "b2", "b3", "b4", "lite0", "lite1", "lite2", "lite3", "lite4")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="host")
    parser.add_argument("--models", type=Path, default=Path("latency-models"))
    parser.add_argument("--format", default="tflite")
    parser.add_argument("--precision", action="append", choices=("fp32", "int8"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=200.0)
    options = parser.parse_args()
    precisions = options.precision or ["fp32", "int8"]
    (target,) = resolve(options.device)
    transport = registry.transport(target.connected.transport)
    with transport.open(target) as device, tempfile.TemporaryDirectory() as folder:
        converter = registry.converter(options.format)
        written = []
        for family in registry.families().values():
            for name in sorted(set(NAMES) & set(family.variants)):
                variant = family.variants[name]
                weights = load(variant, family, "random", classes=None, padding=None)
                network = from_variant(variant, family, weights, trace)
                written.append(probes.write(network, [converter], precisions, Path(folder), quantize_for_timing))
        files = [path for probe in written for path in probe.files.values()]
        wanted = Wanted("prediction", threads=(options.threads,), policy=Policy(options.seconds, 0.0))
        cases = build_cases(files, device, wanted)
        measured = {}
        for done in run_session(cases, device, wanted.policy, random.Random(1)):
            measured[Path(done.measurement.path).name] = done.measurement
        rows, errors = [], []
        for precision in precisions:
            setting = latency_model.Setting(options.format, precision, cases[0].measurement.runtime, options.threads)
            stored = latency_model.load(options.models, device.info(), setting)
            for probe in written:
                seconds = stats.undisturbed_s(measured[probe.files[options.format, precision].name])
                assert seconds is not None, f"{probe.name} could not be timed"
                estimate = stored.model.predict(probe.costs).latency_s
                errors.append(abs(estimate / seconds - 1))
                cells = [f"{estimate * 1e3:.2f}", f"{seconds * 1e3:.2f}", f"{(estimate / seconds - 1) * 100:+.1f}"]
                rows.append([probe.name, precision, *cells])
    columns = [Column("network"), Column("precision"), Column("estimate, ms", "decimal")]
    print(text(Table([*columns, Column("measured, ms", "decimal"), Column("error, %", "decimal")], rows)))
    print(f"error: {statistics.median(errors) * 100:.1f} % (median), {max(errors) * 100:.1f} % (worst)")


if __name__ == "__main__":
    main()
