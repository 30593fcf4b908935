"""The search for alpha, beta and gamma: the law behind the estimates, the grid, and the trainings that measure."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from edgeeff import registry
from edgeeff.cli import cli
from edgeeff.errors import UsageError
from edgeeff.report.search_table import PAPER
from edgeeff.scaling.grid_study import Proxy, Trained, proxy_of, run
from edgeeff.scaling.law import Law, fit, grid, law_for, layers, points, search
from edgeeff.scaling.solve import Bases
from edgeeff.training import Recipe, find

B = registry.families()["efficientnet"]
B0 = B.variants["b0"]
TINY = Proxy(width=0.1, depth=0.2, resolution=32)


def test_the_fit_finds_the_law_behind_points() -> None:
    true = Law((0.12, 0.10, 0.14), 2.0, ())
    made = [
        replace(p, top1=true.top1(p.base_top1, p.depth, p.width, p.resolution))
        for p in points()
        if p.family != "resnet"
    ]
    found = fit(made)
    assert found.power == 2.0
    assert found.shares == pytest.approx(true.shares, abs=1e-6)
    assert found.cv_error < 1e-9


def test_the_law_of_the_published_points_predicts_those_that_it_has_not_seen() -> None:
    law = law_for("efficientnet")
    assert len(law.points) == 10  # B1 to B7, and d = 4, w = 2, r = 2
    assert law.cv_error < 0.0032
    assert law.cv_worst < 0.0055
    # By the coefficients, which rounding up does not respect, the points would fit half as well.
    nominal = fit([replace(p, depth=B.variants[p.name].depth if p.name in B.variants else p.depth) for p in law.points])
    assert nominal.cv_error > 1.8 * law.cv_error
    # One dimension alone saturates: four times the depth gains less than compound scaling of the same cost.
    assert law.top1(0.763, 4, 1, 1) < law.top1(0.763, 1.4, 1.2, 1.3)
    assert law_for("mobilenetv2").points == points()


def test_the_law_is_an_estimate_and_does_not_extrapolate() -> None:
    law = law_for("efficientnet")
    made = law.estimate(B0, 1.2, 1.1, 1.15)
    assert made.provenance == "estimate"
    assert "law fitted to 10 published points, +-0.31 points cross-validated, from b0" in made.source
    assert 0.78 < made.top1 < 0.81
    with pytest.raises(UsageError, match="depth x 9 is beyond what the law was fitted to"):
        law.estimate(B0, 9, 1, 1)
    with pytest.raises(UsageError, match=r"width x 0\.5 is beyond"):
        law.estimate(B0, 1, 0.5, 1)


def test_the_published_points_lead_to_the_papers_neighbourhood() -> None:
    law = law_for("efficientnet")
    found = search(law, B0, B, grid())
    best = found[0]
    (paper,) = [c for c in found if c.bases == PAPER]
    assert (best.layers, paper.layers) == (23, 23)  # every alpha from 1.05 to 1.25 makes the same depth
    assert abs(best.bases.beta - 1.1) <= 0.05 + 1e-9
    assert abs(best.bases.gamma - 1.15) <= 0.05 + 1e-9
    assert found.index(paper) < 10
    assert best.estimate - paper.estimate < 0.0002
    # Triples that make the paper's own network tie with it.
    same = [c for c in found if c.scaled.macs == paper.scaled.macs and c.bases.beta == 1.1]
    assert {c.bases.alpha for c in same} == {1.2, 1.25}
    assert len({round(c.estimate, 9) for c in same}) == 1
    # The top is flat: most of the grid is within the law's own error.
    assert sum(best.estimate - c.estimate <= law.cv_error for c in found) > len(found) / 2
    # Its corners are not: all in one dimension is clearly worse.
    assert best.estimate - found[-1].estimate > 0.008


@pytest.mark.parametrize("name", sorted(registry.families()))
def test_every_family_has_layers_that_depth_multiplies(name: str) -> None:
    family = registry.families()[name]
    base = next(iter(family.variants.values()))
    twice = family.scaled(base, width=base.width, depth=2 * base.depth, resolution=base.resolution)
    assert layers(family.costs(twice)) > 1.5 * layers(family.costs(base)) > 0


def test_the_grid_is_all_triples_of_the_cost() -> None:
    triples = list(grid(tolerance=0.1, step=0.05))
    assert PAPER in triples
    assert all(abs(t.growth - 2) <= 0.1 + 1e-9 and min(t.alpha, t.beta, t.gamma) >= 1 for t in triples)
    assert Bases(2.0, 1.0, 1.0) in triples
    assert Bases(1.0, 1.0, 1.4) in triples
    assert len(set(triples)) == len(triples) == 111


@pytest.mark.parametrize(
    ("tolerance", "step", "message"),
    [(0.0, 0.07, "no triple in steps of 0.07"), (1.0, 0.05, "--tolerance 1"), (0.1, 0.0001, "--grid-step 0.0001")],
)
def test_an_impossible_grid_is_named(tolerance: float, step: float, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        list(grid(tolerance=tolerance, step=step))


def cli_search(*arguments: str) -> Any:
    return CliRunner().invoke(cli, ["scale", "search", *arguments])


def test_the_command_shows_the_papers_triple_and_how_flat_the_top_is() -> None:
    text = cli_search("--top", "1").stdout
    assert "the paper's" in text
    assert "Estimates, not measurements" in text
    assert "The top is flat: 35 of 111 triples" in text
    document = json.loads(cli_search("--json").stdout)
    assert document["provenance"] == "estimate"
    assert len(document["triples"]) == 111
    assert document["law"]["cv_error"] == pytest.approx(0.0031, abs=1e-4)
    assert "b3 is itself a scaling of b0" in str(cli_search("--variant", "b3").exception)


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes that differ in colour: any network learns them."""
    root, rng = tmp_path_factory.mktemp("colours"), np.random.default_rng(0)
    for name, colour in (("red", (200, 60, 60)), ("blue", (60, 60, 200))):
        (root / name).mkdir()
        for index in range(24):
            pixels = np.clip(rng.normal(colour, 25, (32, 32, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{index:02}.png")
    return root


def study(root: Path, out: Path, triples: list[Bases], epochs: int = 6) -> list[tuple[Trained, bool]]:
    return list(run(B0, B, triples, find(root), Recipe(epochs, 12), TINY, out))


def test_a_training_learns_and_is_the_same_every_time(colours: Path, tmp_path: Path) -> None:
    (first, _), (second, _) = study(colours, tmp_path / "a", [PAPER])[0], study(colours, tmp_path / "b", [PAPER])[0]
    assert first.top1 == second.top1 >= 0.9
    assert first.macs == proxy_of(B0, B, TINY, PAPER).macs


def test_a_stopped_search_goes_on_where_it_was(colours: Path, tmp_path: Path) -> None:
    other = Bases(1.3, 1.1, 1.1)
    ((first, was_there),) = study(colours, tmp_path, [PAPER], 1)
    assert not was_there
    again = study(colours, tmp_path, [PAPER, other], 1)
    assert [was for _, was in again] == [True, False]
    assert again[0][0] == first
    # Asked in another way, it is another search.
    assert [was for _, was in study(colours, tmp_path, [PAPER], 2)] == [False]
    assert len(list(tmp_path.glob("scale-search-b0-*.jsonl"))) == 2


def _version(text: str) -> str:
    return text.replace('"schema": 1', '"schema": 7')


@pytest.mark.parametrize(
    ("change", "message"),
    [(_version, "is of version 7, and this edgeeff reads 1"), (lambda text: f"{text}half a li", "line 3 is damaged")],
)
def test_a_study_of_another_version_or_damaged_is_refused(
    colours: Path, tmp_path: Path, change: Callable[[str], str], message: str
) -> None:
    study(colours, tmp_path, [PAPER], 1)
    (path,) = tmp_path.glob("*.jsonl")
    path.write_text(change(path.read_text()))
    before = path.read_bytes()
    with pytest.raises(UsageError, match=message):
        study(colours, tmp_path, [PAPER], 1)
    assert path.read_bytes() == before


def _classes(root: Path, **counts: int) -> Path:
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for index in range(count):
            Image.new("RGB", (8, 8)).save(root / name / f"{index}.png")
    return root


def test_a_folder_that_cannot_be_trained_on_is_one_sentence(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for root, message in (
        (tmp_path / "absent", "there is no such folder"),
        (empty, "holds no images in folders of their own"),
        (_classes(tmp_path / "one", cat=5), r"has one class only \(cat\): nothing to tell apart"),
        (_classes(tmp_path / "few", cat=5, dog=3), "the class 'dog' has 3 images, and at least 4"),
    ):
        result = cli_search("--train", str(root))
        assert isinstance(result.exception, UsageError)
        with pytest.raises(UsageError, match=message):
            raise result.exception


def test_every_fourth_image_of_a_class_is_held_out(tmp_path: Path) -> None:
    found = find(_classes(tmp_path, a=8, b=5))
    assert found.classes == ("a", "b")
    assert [p.name for p in found.held_out.paths] == ["3.png", "7.png", "3.png"]
    assert found.held_out.labels == (0, 0, 1)
    assert len(found.trained.paths) == 10


def test_the_command_trains(colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = [
        "--train",
        str(colours),
        "--limit",
        "2",
        "--epochs",
        "1",
        "--proxy-width",
        "0.1",
        "--proxy-depth",
        "0.2",
    ]
    arguments += ["--proxy-resolution", "32"]
    document = json.loads(cli_search(*arguments, "--json").stdout)
    assert document["provenance"] == "measured"
    assert document["held_out"] == 12
    assert len(document["triples"]) == 2
    shown = cli_search(*arguments)
    assert "as before" in shown.stderr
    assert "Measured on 12 held-out images" in shown.stdout
    # A folder of its own: edgeeff report would take what is in ./results for results.
    assert [path.name for path in tmp_path.iterdir()] == ["scale-search"]
