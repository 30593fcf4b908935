"""`edgeeff search` from a folder of images to a winner that is converted, timed and reported like any variant."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from edgeeff import registry
from edgeeff.cli import cli
from edgeeff.cli.search import search
from edgeeff.errors import UsageError
from edgeeff.measuring.cases import usual_runner
from edgeeff.prediction.latency_model import Sample, Setting, Stored, costs_without_graph, fit, save
from edgeeff.search.networks import family_of
from edgeeff.search.space import CORNERS, Chooser, Dice, Skeleton, propose
from edgeeff.targets import resolve


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Handwritten digits from scikit-learn, which ships them: 20 images of each of three classes."""
    from sklearn.datasets import load_digits

    data, root = load_digits(n_class=3), tmp_path_factory.mktemp("digits")
    for number, (image, label) in enumerate(_some(data.images, data.target)):
        folder = root / str(label)
        folder.mkdir(exist_ok=True)
        Image.fromarray((image * 15.9).astype(np.uint8)).convert("RGB").save(folder / f"{number:03}.png")
    return root


def _some(images: Any, labels: Any) -> Iterator[tuple[Any, int]]:
    for label in range(3):
        yield from ((image, label) for image in images[labels == label][:20])


def command(*arguments: object) -> dict[str, Any]:
    """What an edgeeff command says with --json."""
    found = CliRunner().invoke(cli, [*map(str, arguments), "--json"], catch_exceptions=False)
    return json.loads(found.stdout)  # type: ignore[no-any-return]


def test_a_search_from_images_to_a_winner_that_is_converted_timed_and_reported(digits: Path, tmp_path: Path) -> None:
    out = tmp_path / "search"
    # Some thirty steps, after which the normalisations know the images: after two, float32 itself is only 90 to 120 dB
    # from the network, by the processor, and the limit of a file in float32 is 100 dB.
    training = ("--epochs", 4, "--batch", 8, "--no-mirror")
    small = ("--resolution", 16, "--width", 0.25, "--blocks", 4, "--depth", 0.5, *training)
    asked = ("search", "--train", digits, "--target-ms", 1, *small, "--seconds", 1, "--out", out)
    assert len(command(*asked, "--trials", 1)["trials"]) == 1
    found = command(*asked, "--trials", 2)
    assert [trial["latency_provenance"] for trial in found["trials"]] == ["measured", "measured"]
    top1 = found["winner"]["top1"]
    assert top1 == max(found["trials"], key=lambda trial: trial["reward"])["top1"]

    weights, artifacts, results = out / "search.safetensors", tmp_path / "artifacts", tmp_path / "results"
    (artifact,) = command(
        "convert", "--variant", out / "search.json", "--weights", weights, "--out", artifacts
    )["artifacts"]  # fmt: skip
    assert artifact["variant"] == "search"
    assert artifact["outputs"][0]["shape"] == [1, 3]
    assert artifact["parity"]["sqnr_db"] > 100
    command("bench", artifact["path"], "--seconds", 1, "--out", results)
    (row,) = command(
        "report", results, "--accuracy", out / "search.accuracy.csv", "--target-ms", 1000
    )["rows"]  # fmt: skip
    assert (row["variant"], row["precision"], row["sha256"]) == ("search", "fp32", artifact["sha256"])
    assert (row["accuracy"]["top1"], row["accuracy"]["provenance"]) == (pytest.approx(top1), "measured")
    latency_s = row["latency_s"]["median"]
    assert row["objective"]["soft"]["value"] == pytest.approx(top1 * latency_s**-0.07)


def test_latencies_are_estimated_by_a_model_of_the_same_space(digits: Path, tmp_path: Path) -> None:
    part = Skeleton().part(4, 0.5)
    choosers: list[Chooser] = [*CORNERS, *map(Dice, range(8))]
    samples = []
    for chooser in choosers:
        variant, family = family_of(propose(chooser, part, name="p", resolution=16, width=0.25, classes=3))
        costs = family.costs(variant, classes=3)
        samples.append(Sample("p", costs_without_graph(costs), costs.macs / 1e9))
    (target,) = resolve("host", serial=None)
    with registry.transport(target.connected.transport).open(target) as host:
        setting = Setting("tflite", "fp32", usual_runner("tflite", host.profile).name, 1)
        save(Stored(host.info(), setting, None, fit(samples), 0.0), tmp_path / "models")

    small = ("--resolution", 16, "--blocks", 4, "--depth", 0.5, "--epochs", 1, "--trials", 2)
    asked = ("search", "--train", digits, "--target-ms", 1, *small, "--predict", tmp_path / "models", "--out", tmp_path)
    found = command(*asked, "--width", 0.25)
    assert [trial["latency_provenance"] for trial in found["trials"]] == ["estimate", "estimate"]
    with pytest.raises(UsageError, match=r"is of other networks than this search's: .* lie outside"):
        command(*asked, "--width", 1, "--study", "wider")


def test_impossible_options_are_one_sentence(digits: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(search, ["--train", str(digits), "--target-ms", "0"])
    assert done.exit_code == 2 and "'--target-ms': it must be finite and above 0, not 0" in done.output
    (tmp_path / "one").mkdir()
    with pytest.raises(UsageError, match="holds no images"):
        CliRunner().invoke(search, ["--train", str(tmp_path), "--target-ms", "1"], catch_exceptions=False)
    with pytest.raises(UsageError, match="which takes 32 px"):
        arguments = ["--train", str(digits), "--target-ms", "1", "--resolution", "16"]
        CliRunner().invoke(search, arguments, catch_exceptions=False)
    with pytest.raises(UsageError, match="has one class only"):
        (tmp_path / "one" / "cat").mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / "one" / "cat" / "0.png")
        CliRunner().invoke(search, ["--train", str(tmp_path / "one"), "--target-ms", "1"], catch_exceptions=False)
    with pytest.raises(UsageError, match="no name for a file"):
        arguments = ["--train", str(digits), "--target-ms", "1", "--study", "../x"]
        CliRunner().invoke(search, arguments, catch_exceptions=False)
