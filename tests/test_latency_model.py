"""Latency models: what they are fitted to comes back, what they have not seen is refused, estimates are called so."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from edgeeff import registry, stats
from edgeeff.cli.predict import predict
from edgeeff.converters import quantize_for_timing, trace
from edgeeff.errors import UsageError
from edgeeff.networks import from_variant
from edgeeff.prediction import latency_model
from edgeeff.prediction.latency_model import Sample, Setting, Stored, costs, costs_without_graph, fit, load, save
from edgeeff.prediction.probes import SCALINGS, scaled
from edgeeff.values import DeviceInfo, Launch, Measurement
from edgeeff.weights.sources import load as load_weights

SECONDS = {"pointwise Mmac": 2e-5, "pointwise ops": 3e-6, "depthwise 3 Mmac": 9e-5, "elementwise Mel": 1e-4}
HOST = DeviceInfo("host", "host", "Some CPU", "Debian 12", "6.1", "x86_64", 2, None)
SETTING = Setting("tflite", "fp32", "litert", 1)


def network(generator: random.Random, size: float) -> dict[str, float]:
    return {term: size * generator.uniform(0.5, 2.0) for term in SECONDS}


def samples(noise: float = 0.0) -> list[Sample]:
    generator = random.Random(0)
    found = []
    for number in range(12):
        amounts = network(generator, 10 + 10 * number)
        latency = sum(SECONDS[term] * amount for term, amount in amounts.items())
        found.append(Sample(f"n{number}", amounts, latency * (1 + generator.uniform(-noise, noise))))
    return found


def test_costs_that_made_the_latencies_come_back() -> None:
    model = fit(samples())
    assert model.worst < 0.01
    unseen = network(random.Random(1), 55)
    expected = sum(SECONDS[term] * amount for term, amount in unseen.items())
    assert model.predict(unseen).latency_s == pytest.approx(expected, rel=0.01)


def test_the_error_is_of_networks_that_were_left_out() -> None:
    noisy = fit(samples(noise=0.1))
    assert 0.01 < noisy.error < 0.12
    assert noisy.error < noisy.worst
    assert noisy.predict(network(random.Random(1), 55)).worst == noisy.worst


def test_costs_are_never_negative() -> None:
    assert min(fit(samples(noise=0.3)).seconds.values()) >= 0


@pytest.mark.parametrize(("change", "named"), [
    ({"hard_swish Mel": 1.0}, "has seen no hard_swish"),
    ({"pointwise Mmac": 1000.0}, "million multiply-adds lie outside"),
    ({"pointwise Mmac": 0.1, "depthwise 3 Mmac": 0.1}, "million multiply-adds lie outside"),
    ({"elementwise Mel": 9000.0}, "elements read and written lie outside"),
])  # fmt: skip
def test_it_refuses_to_extrapolate(change: dict[str, float], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        fit(samples()).predict(network(random.Random(1), 55) | change)


def test_too_few_networks_make_no_model() -> None:
    with pytest.raises(UsageError, match="7 measured networks make no latency model"):
        fit(samples()[:7])


def stored() -> Stored:
    return Stored(HOST, SETTING, "ai_edge_litert 2.3.0", fit(samples()), 1.79e9)


def test_models_are_kept_and_read_back(tmp_path: Path) -> None:
    path = save(stored(), tmp_path)
    assert path.name == "host-litert-tflite-fp32-cpu-1t.json"
    assert load(tmp_path, HOST, SETTING) == stored()


def test_a_model_of_another_machine_or_a_damaged_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no latency model of host for fp32 tflite on litert") as error:
        load(tmp_path, HOST, SETTING)
    assert "edgeeff predict --fit" in error.value.hint
    path = save(stored(), tmp_path)
    with pytest.raises(UsageError, match="was fitted on Some CPU"):
        load(tmp_path, replace(HOST, model="Another CPU"), SETTING)
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "schema": 2}))
    with pytest.raises(UsageError, match="it has schema 2"):
        load(tmp_path, HOST, SETTING)
    path.write_text(path.read_text()[:200])
    with pytest.raises(UsageError, match="is not a latency model"):
        load(tmp_path, HOST, SETTING)


def test_the_lower_edge_ignores_what_disturbs() -> None:
    quiet = Launch(0, tuple(range(100, 120)), 0.0)
    busy = Launch(1, tuple(range(200, 220)), 0.0)
    failed = Launch(2, (), 0.0, error="killed")
    m = Measurement(
        "", "", "", "", 1, "tflite", "fp32", None, None, None, None, None, "litert", 1, "cpu", HOST, "", 0, 0
    )
    assert stats.undisturbed_s(replace(m, launches=(busy, quiet, failed))) == 102e-9
    assert stats.undisturbed_s(replace(m, launches=(failed,))) is None


@pytest.mark.parametrize("name", ["b0", "lite0", "mobilenetv2", "mobilenetv3-small", "resnet18", "shufflenetv2"])
def test_a_family_counts_what_its_graph_costs(name: str) -> None:
    family = next(f for f in registry.families().values() if name in f.variants)
    variant = family.scaled(family.variants[name], width=0.25, depth=0.5, resolution=64)
    weights = load_weights(variant, family, "random", classes=None, padding=None)
    real = from_variant(variant, family, weights, trace).graph
    assert costs_without_graph(family.costs(variant)) == pytest.approx(costs(real))


def test_probes_spread_beyond_the_published_networks() -> None:
    family = next(f for f in registry.families().values() if "b0" in f.variants)
    macs = [family.costs(variant).macs for variant in scaled(family.variants["b0"], family)]
    assert len(macs) == len(SCALINGS)
    assert min(macs) < family.variants["b0"].macs < family.variants["b4"].macs < max(macs)  # type: ignore[operator]


def test_a_file_for_timing_is_integer(tmp_path: Path) -> None:
    family = next(f for f in registry.families().values() if "lite0" in f.variants)
    variant = family.scaled(family.variants["lite0"], width=0.25, depth=0.5, resolution=32)
    weights = load_weights(variant, family, "random", classes=None, padding=None)
    network = from_variant(variant, family, weights, trace)
    graph = quantize_for_timing(network.graph, network.inputs[0])
    path = tmp_path / "x.tflite"
    registry.converter("tflite").write(graph, path, precision="int8", metadata={})
    summary = registry.converter("tflite").inspect(path)
    assert summary.precision == "int8"
    assert np.isfinite(registry.runtime("litert").infer(path, [network.inputs[0].transpose(0, 2, 3, 1)])[0]).all()


def test_predict_says_estimate(tmp_path: Path) -> None:
    family = next(f for f in registry.families().values() if "b0" in f.variants)
    found = [costs_without_graph(family.costs(variant)) for variant in scaled(family.variants["b0"], family)]
    measured = [Sample(f"p{i}", c, sum(c.values()) * 1e-5) for i, c in enumerate([*found, *found])]
    with registry.transport("host").open(_host_target()) as device:
        save(Stored(device.info(), SETTING, None, fit(measured), 0.0), tmp_path)
    asked = ["--variant", "b1", "--models", str(tmp_path)]
    result = CliRunner().invoke(predict, [*asked, "--json"], catch_exceptions=False)
    (estimate,) = json.loads(result.stdout)["estimates"]
    assert estimate["provenance"] == "estimate"
    expected = sum(costs_without_graph(family.costs(family.variants["b1"])).values()) * 1e-5
    assert estimate["latency_s"] == pytest.approx(expected, rel=0.05)
    text = CliRunner().invoke(predict, asked, catch_exceptions=False).stdout
    assert "estimate, ms" in text
    assert "Estimates of a run that nothing disturbs" in text
    with pytest.raises(UsageError, match="lie outside"):
        CliRunner().invoke(predict, ["--variant", "b7", "--models", str(tmp_path)], catch_exceptions=False)


def _host_target() -> object:
    from edgeeff.targets import resolve

    (target,) = resolve("host")
    return target


def test_model_files_are_named_by_what_they_hold_for(tmp_path: Path) -> None:
    odd = Setting("onnx", "int8", "onnxruntime", 4, "gpu")
    assert latency_model.path_of(tmp_path, "../x y", odd).parent == tmp_path
    assert latency_model.path_of(tmp_path, "pixel", odd).name == "pixel-onnxruntime-onnx-int8-gpu-4t.json"


def test_an_unknown_variant_is_said_before_a_missing_model(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown variant 'b9'"):
        CliRunner().invoke(predict, ["--variant", "b9", "--models", str(tmp_path)], catch_exceptions=False)
