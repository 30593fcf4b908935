"""Scaling for a device: within T the best direction is found, by estimates, and the paper's stands beside it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgeeff import registry, store
from edgeeff.cli.scale import scale
from edgeeff.errors import UsageError
from edgeeff.objective import SOFT
from edgeeff.prediction.latency_model import LatencyModel, Sample, Setting, Stored, costs_without_graph, save
from edgeeff.prediction.probes import scaled
from edgeeff.report.search_table import PAPER
from edgeeff.scaling.latency_scaling import Question, directions, fit_in_time, slower_for_the_same
from edgeeff.scaling.law import deepening, law_for
from edgeeff.scaling.solve import Bases
from edgeeff.targets import resolve

FAMILY = registry.families()["efficientnet"]
B0 = FAMILY.variants["b0"]


def model(seconds_a_mmac: float = 3e-5, **dear: float) -> LatencyModel:
    """A device on which every multiply-add costs the same, but for what is dear."""
    found = [costs_without_graph(FAMILY.costs(variant)) for variant in scaled(B0, FAMILY)]
    terms = {term for sample in found for term in sample}
    seconds = {
        term: seconds_a_mmac if term.endswith(" Mmac") else dear.get(term.replace(" ", "_"), 0.0) for term in terms
    }
    samples = tuple(Sample(f"p{i}", sample, 0.01) for i, sample in enumerate(found))
    return LatencyModel(seconds, samples, 0.02, 0.05)


def question(target_s: float, **dear: float) -> Question:
    return Question(B0, FAMILY, law_for("efficientnet"), model(**dear), target_s, SOFT)


def test_all_lie_within_the_target_and_the_best_is_first() -> None:
    found = fit_in_time(question(0.03), [Bases(2.0, 1.0, 1.0), Bases(1.0, 1.0, 2**0.5), PAPER])
    assert {fitted.bases for fitted in found} >= {PAPER}
    assert all(fitted.latency_s <= 0.03 for fitted in found)
    assert [fitted.score for fitted in found] == sorted((fitted.score for fitted in found), reverse=True)


def test_a_device_that_punishes_pixels_gets_fewer() -> None:
    triples = [Bases(1.3, 1.2, 1.0), Bases(1.0, 1.0, 2**0.5)]
    plain = fit_in_time(question(0.03), triples)
    dear = fit_in_time(question(0.03, silu_Mel=5e-4), triples)
    pixels = {
        id(found): [f.scaled.variant.resolution for f in found if f.bases.alpha == 1.0] for found in (plain, dear)
    }
    assert max(pixels[id(dear)], default=0) < max(pixels[id(plain)])


def test_what_the_papers_direction_takes_for_the_same() -> None:
    asked = question(0.03)
    best = fit_in_time(asked, [PAPER])[0]
    same = slower_for_the_same(asked, PAPER, best.top1)
    assert same is not None
    assert same <= best.latency_s
    assert slower_for_the_same(asked, PAPER, 0.99) is None


def test_a_target_below_the_base_says_by_how_much() -> None:
    with pytest.raises(UsageError, match=r"b0 itself takes an estimated 11\.6 ms, 1\.16 times the target of 10 ms"):
        fit_in_time(question(0.010), [PAPER])


def test_a_base_without_published_accuracy_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be estimated"):
        fit_in_time(replace(question(0.03), base=replace(B0, published=None)), [PAPER])


def test_depth_is_that_of_the_network_as_built() -> None:
    # Every alpha that gives B0 the same 23 layers is the same scaling, and the same estimate.
    found = fit_in_time(question(0.03), [Bases(1.1, 1.0, 1.0), Bases(1.2, 1.0, 1.0)])
    b1 = [f for f in found if deepening(FAMILY, B0, f.scaled.variant) == 23 / 16]
    law = law_for("efficientnet")
    assert all(f.top1 == law.top1(0.763, 23 / 16, 1, 1) for f in b1)
    assert deepening(FAMILY, B0, FAMILY.variants["b1"]) == 23 / 16


def test_a_model_that_is_not_there_names_the_command_that_fits_it(tmp_path: Path) -> None:
    asked = ["search", "--target-ms", "20", "--format", "onnx", "--threads", "2", "--models", str(tmp_path)]
    error = CliRunner().invoke(scale, asked).exception
    assert isinstance(error, UsageError)
    assert "no latency model of host for fp32 onnx on onnxruntime, cpu, 2 threads" in error.message
    command = f"edgeeff predict --fit --device host --format onnx --precision fp32 --threads 2 --models {tmp_path}"
    assert command in (error.hint or "")


def kept(folder: Path, setting: Setting) -> None:
    """A model of this machine, as edgeeff predict --fit would keep it."""
    (target,) = resolve("host")
    with registry.transport(target.connected.transport).open(target) as device:
        save(Stored(device.info(), setting, None, model(), 0.0), folder)


@pytest.mark.parametrize(("form", "runtime", "threads"), [("tflite", "litert", 1), ("onnx", "onnxruntime", 2)])
def test_each_format_and_number_of_threads_has_its_own_model(
    tmp_path: Path, form: str, runtime: str, threads: int
) -> None:
    kept(tmp_path, Setting(form, "fp32", runtime, threads))
    asked = ["--target-ms", "20", "--format", form, "--threads", str(threads), "--models", str(tmp_path), "--json"]
    found = json.loads(CliRunner().invoke(scale, ["search", *asked], catch_exceptions=False).stdout)
    assert found["provenance"] == "estimate"
    assert all(network["latency_s"] <= 0.02 for network in found["networks"])
    alone = json.loads(CliRunner().invoke(scale, [*asked, "--predicted", "--no-verify"], catch_exceptions=False).stdout)
    assert alone["latency_provenance"] == "estimate"
    assert 0 < alone["latency_ms"] <= 20
    assert alone["phi"] > 0
    assert {one["provenance"] for one in alone["timed"]} == {"estimate"}


def test_what_a_model_found_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model says that b0's smallest scalings take milliseconds; the machine is asked too, and labels tell."""
    monkeypatch.chdir(tmp_path)
    kept(tmp_path / "models", Setting("tflite", "fp32", "litert", 1))
    asked = ["--target-ms", "10000", "--predicted", "--models", "models", "--json"]
    asked += ["--target-macs", "400M", "--seconds", "0.5"]
    found = json.loads(CliRunner().invoke(scale, asked, catch_exceptions=False).stdout)
    assert [one["provenance"] for one in found["timed"]] == ["estimate", "measured"]
    assert found["latency_provenance"] == "measured"
    assert found["phi"] == 0
    # A folder of its own: edgeeff report and history would take what is in ./results for the user's own.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["models", "scale-timings"]
    (timed,) = store.read(tmp_path / "scale-timings")
    assert timed.launches[0].samples_ns


def test_directions_double_flops() -> None:
    found = directions()
    assert len(found) == len(set(found)) > 50
    assert all(bases.growth == pytest.approx(2, rel=0.01) for bases in found)
