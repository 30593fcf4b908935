"""Scaling for a device: within T the best direction is found, by estimates, and the paper's stands beside it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgeeff import registry
from edgeeff.cli.predict import shapes
from edgeeff.errors import UsageError
from edgeeff.latency_model import LatencyModel, Sample, costs, costs_without_graph
from edgeeff.latency_scaling import Question, directions, fit_in_time, slower_for_the_same
from edgeeff.law import law_for
from edgeeff.objective import SOFT
from edgeeff.probes import scaled
from edgeeff.report.search_table import PAPER
from edgeeff.solve import Bases

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


@pytest.mark.parametrize("name", ["b2", "mobilenetv2", "mobilenetv3-small", "resnet18", "shufflenetv2"])
def test_a_family_counts_what_its_graph_costs(name: str) -> None:
    family = next(f for f in registry.families().values() if name in f.variants)
    variant = family.variants[name]
    assert costs_without_graph(family.costs(variant)) == pytest.approx(costs(shapes(variant, family)))


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


def test_directions_double_flops() -> None:
    found = directions()
    assert len(found) == len(set(found)) > 50
    assert all(bases.growth == pytest.approx(2, rel=0.01) for bases in found)
