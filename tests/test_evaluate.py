"""`edgeeff evaluate` on real files and images, through the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from edgeeff import registry
from edgeeff.artifacts import manifest_path
from edgeeff.cli import cli
from edgeeff.evaluation.classifier import NORMALISATIONS
from edgeeff.evaluation.predictions import Prediction
from edgeeff.evaluation.scores import _bootstrap, _decibel
from edgeeff.graph import Graph, Node
from edgeeff.images import preprocess
from edgeeff.int8.quantization import Quantization, value_scale, weight_scales
from edgeeff.ops import Conv2d, Dense, Mean
from edgeeff.ports import real_values, stored
from edgeeff.values import Port

COUNT = 12


def network(scale: float = 1.0) -> Graph:
    """Ten outputs of a small network; `scale` of the classifier makes another one that decides alike."""
    rng = np.random.default_rng(3)
    stem, dense = rng.standard_normal((8, 3, 3, 3)), rng.standard_normal((10, 8)) * scale
    zeros = np.zeros(8, np.float32)
    nodes = (
        Node("stem", Conv2d(stem.astype(np.float32), zeros, (2, 2), (1, 1, 1, 1), activation="relu6"), ("image",)),
        Node("pool", Mean((2, 3), False), ("stem",)),
        Node("logits", Dense(dense.astype(np.float32), np.zeros(10, np.float32)), ("pool",)),
    )
    return Graph("small", {"image": (1, 3, 32, 32)}, nodes, ("logits",))


def in_integers(graph: Graph, io: str = "float") -> Graph:
    """The network in int8 from the first op to the last; `io` is what it takes and gives."""
    weights = {node.name: weight_scales(node.op.weight) for node in graph.nodes if isinstance(node.op, Conv2d | Dense)}
    ranges = {"image": (-2.2, 2.7), "stem": (0.0, 6.0), "pool": (0.0, 6.0), "logits": (-12.0, 12.0)}
    values = {name: value_scale(*ends) for name, ends in ranges.items()}
    whole = frozenset(node.name for node in graph.nodes)
    return replace(graph, quantization=Quantization(weights, values, whole, io=io))


def written(folder: Path, name: str, graph: Graph, precision: str = "fp32") -> Path:
    path = folder / name
    registry.converter(path.suffix[1:]).write(graph, path, precision=precision, metadata={})
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Model files, and images in class folders 0 to 9 such that the float file is right on all but the last two."""
    folder = tmp_path_factory.mktemp("evaluate")
    rng = np.random.default_rng(0)
    model = written(folder, "float.tflite", network())
    written(folder, "float.onnx", network())
    written(folder, "int8.tflite", in_integers(network()), "int8")
    session = registry.runtime("litert").open(model)
    for i in range(COUNT):
        colours = rng.integers(0, 256, (5, 5, 3), np.uint8)
        image = Image.fromarray(colours).resize((70, 90), Image.Resampling.BICUBIC)
        image.save(folder / "image.png")
        prepared = preprocess(folder / "image.png", 32, NORMALISATIONS["imagenet"])
        best = int(session([np.ascontiguousarray(prepared.transpose(1, 2, 0)[None])])[0].argmax())
        label = best if i < COUNT - 2 else (best + 1) % 10
        (folder / "images" / str(label)).mkdir(parents=True, exist_ok=True)
        (folder / "image.png").rename(folder / "images" / str(label) / f"{i}.png")
    return folder


def evaluate(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["evaluate", *map(str, arguments), "--normalisation", "imagenet"])


def document(*arguments: object) -> dict[str, Any]:
    done = evaluate(*arguments, "--json")
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", ["float.tflite", "float.onnx"])
def test_accuracy_in_the_files_own_runtime(name: str, folder: Path, tmp_path: Path) -> None:
    found = document(folder / name, "--data", folder / "images", "--out", tmp_path)
    (file,) = found["files"]
    assert file["top1"]["count"] == COUNT - 2
    assert file["top1"]["images"] == file["top5"]["images"] == COUNT
    assert file["top1"]["value"] == pytest.approx((COUNT - 2) / COUNT)
    assert file["top1"]["interval"][0] < file["top1"]["value"] < file["top1"]["interval"][1]
    assert found["comparison"] is None
    (entry,) = json.loads((tmp_path / "accuracies.json").read_text())["accuracies"]
    assert (entry["correct"], entry["images"], entry["sha256"]) == (COUNT - 2, COUNT, file["sha256"])


def test_int8_against_float(folder: Path, tmp_path: Path) -> None:
    files = (folder / "int8.tflite", "--against", folder / "float.onnx")
    found = document(*files, "--data", folder / "images", "--out", tmp_path)
    comparison = found["comparison"]
    low, high = comparison["sqnr_interval_db"]
    assert 15 < low < comparison["sqnr_db"] < high < 60
    difference = comparison["top1_difference"]
    assert difference["both"] + difference["against_only"] == COUNT - 2
    assert sum(difference[key] for key in ("both", "file_only", "against_only", "neither")) == COUNT
    accuracies = json.loads((tmp_path / "accuracies.json").read_text())["accuracies"]
    assert [Path(entry["file"]).name for entry in accuracies] == ["int8.tflite", "float.onnx"]
    assert accuracies[0]["against"]["sha256"] == accuracies[1]["sha256"]
    text = evaluate(*files, "--data", folder / "images", "--out", tmp_path).stdout
    assert "int8.tflite against float.onnx" in text
    assert "SQNR of the outputs, dB" in text


@pytest.mark.parametrize(("suffix", "io"), [("tflite", "int8"), ("tflite", "uint8"), ("onnx", "int8")])
def test_files_that_take_and_give_integers(suffix: str, io: str, folder: Path, tmp_path: Path) -> None:
    """They are as close to the float file as the one with float inputs: scales and zero points are the file's own."""
    path = written(tmp_path, f"integers.{suffix}", in_integers(network(), io), "int8")
    found = [
        document(model, "--against", folder / "float.tflite", "--data", folder / "images", "--out", tmp_path)
        for model in (path, folder / "int8.tflite")
    ]
    integers, floats = (one["comparison"]["sqnr_db"] for one in found)
    assert integers == pytest.approx(floats, abs=1.0)
    assert registry.runtime("litert" if suffix == "tflite" else "onnxruntime").open(path).inputs[0].dtype == io


def test_the_same_network_is_equal(folder: Path, tmp_path: Path) -> None:
    same = (folder / "float.tflite", "--against", folder / "float.tflite", "--data", folder / "images")
    done = evaluate(*same, "--out", tmp_path)
    assert "equal to the last bit" in done.stdout
    assert document(*same, "--out", tmp_path)["comparison"]["agreement"]["value"] == 1


def test_integer_inputs_and_outputs_are_real_numbers() -> None:
    port = Port("image", "int8", (1, 2), 0.5, -3)
    integers = stored(np.array([[-1.0, 0.26, 500.0]], np.float32), port)
    assert integers.dtype == np.int8
    assert integers.tolist() == [[-5, -2, 127]]
    assert real_values(integers, port).tolist() == [[-1.0, 0.5, 65.0]]
    pixels = stored(np.array([0.0, 254.6], np.float32), Port("image", "uint8", (1, 2)))
    assert pixels.tolist() == [0, 255]


def test_images_that_cannot_be_decoded_are_counted_and_named(folder: Path, tmp_path: Path) -> None:
    images = tmp_path / "images"
    for path in (folder / "images").rglob("*.png"):
        (images / path.parent.name).mkdir(parents=True, exist_ok=True)
        (images / path.parent.name / path.name).write_bytes(path.read_bytes())
    (images / "1").mkdir(exist_ok=True)
    (images / "1" / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    found = document(folder / "float.tflite", "--data", images, "--out", tmp_path)
    assert list(found["not_decoded"]) == ["1/broken.jpg"]
    assert found["images"] == COUNT
    assert found["files"][0]["top1"]["images"] == COUNT
    assert any("1 image that cannot be decoded left out: 1/broken.jpg" in line for line in found["remarks"])


def test_a_killed_run_goes_on_where_it_was(folder: Path, tmp_path: Path) -> None:
    arguments = (folder / "int8.tflite", "--against", folder / "float.tflite", "--data", folder / "images")
    whole = document(*arguments, "--out", tmp_path)
    (journal,) = tmp_path.glob("int8-*.jsonl")
    lines = journal.read_bytes().splitlines(keepends=True)
    assert len(lines) == 1 + COUNT
    # Killed within the sixth image's line. Had the fifth run anew, its forged outcome would be gone.
    forged = json.loads(lines[5]) | {"fault": "forged"}
    journal.write_bytes(b"".join(lines[:5]) + json.dumps(forged).encode() + b"\n" + lines[6][:20])
    done = evaluate(*arguments, "--out", tmp_path, "--json")
    assert "5 of 12 images are in" in done.stderr
    assert list(json.loads(done.stdout)["not_decoded"].values()) == ["forged"]
    after = journal.read_bytes().splitlines(keepends=True)
    assert after[:5] + after[6:] == lines[:5] + lines[6:]
    journal.write_bytes(b"".join(lines[:3]))
    assert document(*arguments, "--out", tmp_path) == whole
    assert journal.read_bytes() == b"".join(lines)


def test_another_file_or_other_data_starts_anew(folder: Path, tmp_path: Path) -> None:
    model, images = tmp_path / "m.tflite", tmp_path / "images"
    model.write_bytes((folder / "float.tflite").read_bytes())
    for path in (folder / "images").rglob("*.png"):
        (images / path.parent.name).mkdir(parents=True, exist_ok=True)
        (images / path.parent.name / path.name).write_bytes(path.read_bytes())
    document(model, "--data", images, "--out", tmp_path)
    written(tmp_path, "m.tflite", network(0.5))
    document(model, "--data", images, "--out", tmp_path)
    assert len(list(tmp_path.glob("m-*.jsonl"))) == 2
    # The accuracy of what stood there before is of no file any more.
    assert len(json.loads((tmp_path / "accuracies.json").read_text())["accuracies"]) == 1
    next(images.rglob("*.png")).unlink()
    assert document(model, "--data", images, "--out", tmp_path)["images"] == COUNT - 1
    assert len(list(tmp_path.glob("m-*.jsonl"))) == 3


def test_a_damaged_journal_is_a_sentence_and_stays(folder: Path, tmp_path: Path) -> None:
    arguments = (folder / "float.tflite", "--data", folder / "images", "--out", tmp_path)
    document(*arguments)
    (journal,) = tmp_path.glob("float-*.jsonl")
    content = journal.read_bytes().replace(b'"name"', b'"nom"', 1)
    journal.write_bytes(content)
    done = run(*arguments)
    assert done.returncode == 2
    assert f"{journal}, line 2 is damaged" in done.stderr
    assert journal.read_bytes() == content


def run(*arguments: object, normalisation: str | None = "imagenet") -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "edgeeff", "evaluate", *map(str, arguments)]
    argv += ["--normalisation", normalisation] if normalisation else []
    return subprocess.run(argv, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("no manifest", "is not known: it has no manifest"),
        ("unknown normalisation", "unknown normalisation 'imagenett'"),
        ("resolution", "takes images of 32 pixels, and --resolution asks for 64"),
        ("features alone", "gives features, not classes"),
        ("all corrupt", "none of the 2 images in"),
        ("not accuracies", "is not a file of accuracies"),
        ("no folder", "there is no such folder"),
        ("other outputs", "has 10 outputs and"),
        ("file", "there is no file"),
    ],
)
def test_what_cannot_be_evaluated_is_one_sentence(fault: str, message: str, folder: Path, tmp_path: Path) -> None:
    model, images, more, normalisation = folder / "float.tflite", folder / "images", [], "imagenet"
    match fault:
        case "no manifest":
            normalisation = None
        case "unknown normalisation":
            normalisation = "imagenett"
        case "resolution":
            more = ["--resolution", 64]
        case "features alone":
            model = tmp_path / "f.tflite"
            model.write_bytes((folder / "float.tflite").read_bytes())
            manifest_path(model).write_text(json.dumps(manifest_of(model)))
        case "all corrupt":
            images = tmp_path / "images"
            for label in "01":
                (images / label).mkdir(parents=True)
                (images / label / "x.png").write_bytes(b"no image")
        case "not accuracies":
            (tmp_path / "accuracies.json").write_text("[]")
        case "no folder":
            images = tmp_path / "missing"
        case "other outputs":
            graph = network()
            nodes = (*graph.nodes[:2], Node("logits", Dense(np.ones((4, 8), np.float32), None), ("pool",)))
            more = ["--against", written(tmp_path, "four.onnx", replace(graph, nodes=nodes))]
        case "file":
            model = tmp_path / "missing.tflite"
    done = run(model, "--data", images, "--out", tmp_path, *more, normalisation=normalisation)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    if fault == "not accuracies":
        assert (tmp_path / "accuracies.json").read_text() == "[]"


def manifest_of(model: Path) -> dict[str, Any]:
    """A manifest as `edgeeff convert` writes it, of a network without a classifier."""
    from edgeeff.files import sha256_of

    return {
        "schema": 1, "path": model.name, "format": "tflite", "precision": "fp32", "variant": "b0", "weights": "file(x)",
        "sha256": sha256_of(model), "size_bytes": 1, "parameters": 1, "macs": 1, "ops": 1, "inputs": [], "outputs": [],
        "normalisation": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "name": ""}, "labels": None, "parity": None,
        "versions": {}, "classes": 0,
    }  # fmt: skip


def test_features_are_compared_without_labels(folder: Path, tmp_path: Path) -> None:
    for name in ("int8", "float"):
        model = tmp_path / f"{name}.tflite"
        model.write_bytes((folder / f"{name}.tflite").read_bytes())
        manifest_path(model).write_text(json.dumps(manifest_of(model)))
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in (folder / "images").rglob("*.png"):
        (flat / path.name).write_bytes(path.read_bytes())
    found = document(
        tmp_path / "int8.tflite", "--against", tmp_path / "float.tflite", "--data", flat, "--out", tmp_path / "out"
    )
    assert found["files"][0]["top1"] is None
    assert found["comparison"]["agreement"] is None
    assert 15 < found["comparison"]["sqnr_db"] < 60
    assert not (tmp_path / "out" / "accuracies.json").exists()


def test_without_labels_files_are_compared(folder: Path, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in (folder / "images").rglob("*.png"):
        (flat / path.name).write_bytes(path.read_bytes())
    arguments = (folder / "int8.tflite", "--data", flat, "--out", tmp_path / "out")
    found = document(*arguments, "--against", folder / "float.tflite")
    assert found["comparison"]["agreement"]["images"] == COUNT
    assert found["comparison"]["top1_difference"] is None
    done = run(*arguments)
    assert done.returncode == 2
    assert "have no labels" in done.stderr


def test_sqnr_is_over_all_images_and_its_interval_by_resampling_them() -> None:
    found = [Prediction(str(i), signal=100.0, noise=float(1 + i % 3)) for i in range(300)]
    assert _decibel(sum(p.signal for p in found), sum(p.noise for p in found)) == pytest.approx(16.9897, abs=1e-4)
    interval = _bootstrap([p.signal for p in found], [p.noise for p in found])
    assert interval is not None
    # The noise's mean is 2 with a standard error of .816 / sqrt(300) = .0471: +-1.96 of it in dB.
    assert interval == pytest.approx((10 * np.log10(100 / 2.0924), 10 * np.log10(100 / 1.9076)), abs=0.03)
    assert _bootstrap([1.0], [0.1]) is None
