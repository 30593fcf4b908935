"""`--via tensorflow`: every op through TensorFlow and its converter, real files in real runtimes.

TensorFlow is an extra of 1.5 GB that `make install` leaves out; `make tensorflow` brings it, and CI does.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from edgeeff import registry
from edgeeff.converters import trace
from edgeeff.errors import ConversionError, UsageError
from edgeeff.parity import sqnr_db

REQUIRED = os.environ.get("EDGEEFF_REQUIRE_ALL") == "1"
needs_tensorflow = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None and not REQUIRED,
    reason="TensorFlow is not installed: make tensorflow",
)
ROAD = registry.road("tensorflow")


class EveryOp(nn.Module):
    """What the graph has, in one network."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.same = nn.Conv2d(8, 8, (3, 5), padding="same", dilation=2)
        self.depthwise = nn.Conv2d(8, 16, 5, stride=2, padding=2, groups=8)
        self.grouped = nn.Conv2d(16, 8, 1, groups=4)
        self.norm = nn.BatchNorm2d(8)
        self.dense = nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.relu6(self.stem(x))
        x = x + torch.tanh(self.same(x))
        x = nn.functional.silu(self.depthwise(nn.functional.pad(x, (1, 0, 2, 1))))
        x = self.grouped(x)
        x = self.norm(nn.functional.hardswish(x)) * torch.sigmoid(x)
        x = nn.functional.max_pool2d(x, 3, 2, 1) + nn.functional.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
        x = torch.cat([x[:, :4], nn.functional.hardsigmoid(x[:, 2:6])], 1)
        x = nn.functional.relu(x - x.mean((2, 3), keepdim=True))
        x = x.flatten(2).transpose(1, 2).reshape(1, -1, 8).mean(1)
        return torch.softmax(self.dense(x), -1)


@pytest.fixture(scope="module")
def traced():
    torch.manual_seed(0)
    network = EveryOp().eval()
    network.norm.running_var.uniform_(0.5, 2)
    image = torch.randn(1, 3, 45, 40)
    return trace(network, [image], name="every-op"), image.numpy()


@needs_tensorflow
def test_every_op_computes_what_torch_computes(traced, tmp_path: Path) -> None:
    found, image = traced
    converter = ROAD.converter(None)
    converter.write(found.graph, tmp_path / "m.tflite", precision="fp32", metadata={})
    outputs = registry.runtime("litert").infer(tmp_path / "m.tflite", [converter.layout(image)])
    assert sqnr_db(found.outputs, outputs) > 100
    ROAD.save(found.graph, tmp_path / "model")
    assert sqnr_db(found.outputs, ROAD.infer(tmp_path / "model", [converter.layout(image)])) > 100


@needs_tensorflow
def test_a_saved_model_takes_any_batch(traced, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)
    ).eval()
    images = torch.randn(3, 3, 16, 16)
    found = trace(network, [images[:1]], name="small")
    ROAD.save(found.graph, tmp_path / "model")
    (outputs,) = ROAD.infer(tmp_path / "model", [ROAD.converter(None).layout(images.numpy())])
    assert sqnr_db([network(images).detach().numpy()], [outputs]) > 100


@needs_tensorflow
def test_what_tensorflow_cannot_do_is_a_sentence(tmp_path: Path) -> None:
    network = nn.Conv2d(4, 4, 3, stride=(1, 2), padding=1, groups=4).eval()
    found = trace(network, [torch.randn(1, 4, 16, 16)], name="uneven")
    with pytest.raises(ConversionError, match="one stride for both axes"):
        ROAD.converter(None).write(found.graph, tmp_path / "m.tflite", precision="fp32", metadata={})
    plain = trace(nn.Conv2d(3, 4, 1).eval(), [torch.randn(1, 3, 8, 8)], name="plain")
    with pytest.raises(UsageError, match="needs --calibration DIR"):
        ROAD.converter(None).write(plain.graph, tmp_path / "m.tflite", precision="int8", metadata={})


def convert(*arguments: object, code: str = "") -> subprocess.CompletedProcess[str]:
    script = f"{code}\nfrom edgeeff.cli import main\nmain()"
    argv = [sys.executable, "-c", script, "convert", "--variant", "b0", "--weights", "random", "--via", "tensorflow"]
    argv += ["--width", "0.3", "--depth", "0.3", "--resolution", "64", *map(str, arguments)]
    return subprocess.run(argv, capture_output=True, text=True)


@needs_tensorflow
def test_the_command_writes_files_that_are_proven_and_say_whose_they_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(12):
        Image.fromarray(rng.integers(0, 256, (5, 6, 3), np.uint8)).resize((120, 100)).save(photos / f"{i}.png")
    formats = ("--format", "tflite", "--precision", "fp32", "--precision", "int8", "--calibration", photos)
    done = convert(*formats, "--out", tmp_path / "out", "--json", "--min-sqnr", 3)
    assert done.returncode == 0, done.stderr
    float_file, int8_file = json.loads(done.stdout)["artifacts"]
    assert float_file["parity"]["sqnr_db"] > 100
    assert int8_file["parity"]["inputs"] == "3 held-out images of photos"
    assert int8_file["size_bytes"] < float_file["size_bytes"] / 2
    assert all(file["via"].startswith("tensorflow 2.") for file in (float_file, int8_file))
    done = convert(*formats, "--out", tmp_path / "other", "--min-sqnr", 90)
    assert done.returncode == 6
    assert "the limit is 90 dB" in done.stderr
    assert "without --via, int8 keeps more" in done.stderr
    assert not list((tmp_path / "other").glob("*int8*"))
    names = sorted(path.name for path in (tmp_path / "out").iterdir() if path.suffix == ".tflite")
    assert all(name.endswith("-tensorflow.tflite") for name in names)
    assert len(names) == 2
    for _ in range(2):  # the second time in the place of the first
        done = convert("--format", "saved_model", "--out", tmp_path / "out", "--json")
        assert done.returncode == 0, done.stderr
        (saved,) = json.loads(done.stdout)["artifacts"]
        assert (Path(saved["path"]) / "saved_model.pb").is_file()
        assert saved["parity"]["sqnr_db"] > 100
        assert saved["size_bytes"] < 1.6 * float_file["size_bytes"]
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]
    (Path(saved["path"]) / "saved_model.pb").unlink()
    before = sorted(path.name for path in Path(saved["path"]).iterdir())
    done = convert("--format", "saved_model", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "something else is there" in done.stderr
    assert sorted(path.name for path in Path(saved["path"]).iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--via", "tensorflw"], "did you mean tensorflow?"),
        (["--format", "onnx"], "unknown format of --via tensorflow 'onnx'"),
        (["--precision", "int8-weights"], "unknown precision of tflite via tensorflow 'int8-weights'"),
        (["--format", "saved_model", "--precision", "fp16"], "unknown precision of saved_model via tensorflow 'fp16'"),
        (["--io", "int8"], "--io cannot go with --via tensorflow"),
    ],
)
def test_what_the_road_does_not_take_is_refused(arguments: Sequence[str], message: str, tmp_path: Path) -> None:
    done = convert(*arguments, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "out").exists()


def test_without_tensorflow_one_sentence_says_how_to_get_it(tmp_path: Path) -> None:
    done = convert("--out", tmp_path, code="import sys; sys.modules['tensorflow'] = None")
    assert done.returncode == 2
    assert "--via tensorflow needs the package tensorflow" in done.stderr
    assert "pip install 'edgeeff[tensorflow]'" in done.stderr
    assert list(tmp_path.iterdir()) == []
