"""The command line as a script calls it: documents, exit codes, and one sentence for each thing that is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def edgeeff(*arguments: str, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    # HF_HUB_OFFLINE: no test may depend on whether a network answers.
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", **(env or {})}
    argv = [sys.executable, "-m", "edgeeff", *arguments]
    return subprocess.run(argv, cwd=cwd, capture_output=True, text=True, env=environment, timeout=300, check=False)


NETWORK = """
from torch import nn

def small():
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten())

def broken():
    raise RuntimeError("no such checkpoint")

def gelu():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.GELU())

number = 3
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("user")
    (made / "mynet.py").write_text(NETWORK)
    return made


def test_from_a_variant_to_a_report(tmp_path: Path) -> None:
    convert = ["convert", "--variant", "lite0", "--variant", "b0", "--format", "tflite", "--format", "onnx", "--json"]
    converted = edgeeff(*convert, cwd=tmp_path)
    assert converted.returncode == 0, converted.stderr
    artifacts = json.loads(converted.stdout)["artifacts"]
    assert [(a["variant"], a["format"]) for a in artifacts] == [
        ("lite0", "tflite"),
        ("lite0", "onnx"),
        ("b0", "tflite"),
        ("b0", "onnx"),
    ]
    wanted = {"path", "format", "precision", "variant", "weights", "sha256", "size_bytes", "parity"}
    assert all(wanted <= a.keys() and a["parity"]["sqnr_db"] >= 100 for a in artifacts)
    assert "RANDOM weights" in converted.stderr
    assert all("random" in a["path"] and a["weights"] == "random(seed=0)" for a in artifacts[2:])

    benched = edgeeff("bench", "--seconds", "1", "--json", cwd=tmp_path)
    assert benched.returncode == 0, benched.stderr
    measurements = json.loads(benched.stdout)["measurements"]
    assert {m["path"] for m in measurements} == {a["path"] for a in artifacts}
    for m in measurements:
        assert {"runtime", "threads", "latency_s", "macs", "parameters", "ops", "delegated_ops", "warnings"} <= m.keys()
        assert {"median", "low", "high", "p90"} <= m["latency_s"].keys()
        assert m["ops"] == m["delegated_ops"]

    reported = edgeeff("report", "--json", cwd=tmp_path)
    assert reported.returncode == 0, reported.stderr
    rows = json.loads(reported.stdout)["rows"]
    assert {row["variant"] for row in rows} == {"lite0", "b0"}


def test_bench_without_artifacts_converts_b0_and_says_so(tmp_path: Path) -> None:
    done = edgeeff("bench", "--seconds", "1", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "converting b0" in done.stderr
    (measurement,) = json.loads(done.stdout)["measurements"]
    assert Path(measurement["path"]).name == "b0-fp32-random-seed0.tflite"


@pytest.mark.parametrize("format_name", ["tflite", "onnx"])
def test_any_network_converts(folder: Path, format_name: str, tmp_path: Path) -> None:
    arguments = ["--module", "mynet:small", "--input", "1x3x32x48", "--format", format_name, "--out", str(tmp_path)]
    done = edgeeff("convert", *arguments, "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    (artifact,) = json.loads(done.stdout)["artifacts"]
    assert artifact["variant"] == "small"
    assert artifact["macs"] == 8 * 27 * 16 * 24
    assert artifact["parameters"] == 8 * 27 + 8 + 16


def test_any_scaling_converts(tmp_path: Path) -> None:
    arguments = ["--variant", "b0", "--width", "0.5", "--depth", "0.5", "--resolution", "96"]
    done = edgeeff("convert", *arguments, "--weights", "random", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (artifact,) = json.loads(done.stdout)["artifacts"]
    assert artifact["inputs"][0]["shape"] == [1, 96, 96, 3]
    assert artifact["resolution"] == 96
    assert artifact["variant"] == "b0-w0.5-d0.5-r96"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["convrt"], 2, ["unknown command 'convrt'", "did you mean convert"]),
        (["convert"], 2, ["--variant"]),
        (["convert", "--variant", "b9"], 2, ["unknown variant 'b9'", "did you mean b"]),
        (["convert", "--variant", "b0", "--format", "tflit"], 2, ["unknown format 'tflit'", "did you mean tflite"]),
        (["convert", "--variant", "b0", "--precision", "fp61"], 2, ["fp61", "did you mean fp16"]),
        (["convert", "--variant", "b0", "--weigths", "x"], 2, ["--weigths", "--weights"]),
        (["convert", "--variant", "b0", "--weights", "none.pth"], 2, ["none.pth", "no such file"]),
        (["convert", "--variant", "b0", "--weights", "pretrained"], 2, ["b0", "HF_HUB_OFFLINE"]),
        (["convert", "--variant", "b0", "--weights", "mynet.py"], 2, ["mynet.py"]),
        (["convert", "--variant", "b0", "--width", "nan"], 2, ["nan"]),
        (["convert", "--variant", "b0", "--phi", "60"], 2, ["304", "100"]),
        (["convert", "--variant", "b0", "--phi", "1", "--width", "2"], 2, ["--phi"]),
        (["convert", "--variant", "b0", "--module", "mynet:small"], 2, ["--module"]),
        (["convert", "--module", "mynet:small"], 2, ["--input"]),
        (["convert", "--module", "mynet:small", "--input", "1x3x8x8", "--width", "2"], 2, ["scaling cannot go with"]),
        (["convert", "--module", "mynet:small", "--input", "1x3x8x8", "--weights", "x"], 2, ["--weights cannot go"]),
        (["convert", "--module", "mynet:small", "--input", "224"], 2, ["1x3x224x224"]),
        (["convert", "--module", "mynet", "--input", "1x3x32x32"], 2, ["package.module:function"]),
        (["convert", "--module", "nonet:small", "--input", "1x3x32x32"], 2, ["nonet"]),
        (["convert", "--module", "mynet:large", "--input", "1x3x32x32"], 2, ["large"]),
        (["convert", "--module", "mynet:number", "--input", "1x3x32x32"], 2, ["int"]),
        (["convert", "--module", "mynet:broken", "--input", "1x3x32x32"], 6, ["no such checkpoint"]),
        (["convert", "--module", "mynet:gelu", "--input", "1x3x32x32"], 6, ["gelu at 1", "supported:"]),
        (["convert", "--module", "mynet:small", "--input", "1x4x32x32"], 6, ["fails on an input of 1x4x32x32"]),
        (["convert", "--variant", "b0", "--weights", "random", "--out", "mynet.py/x"], 2, ["cannot write", "--out"]),
        (["bench", "--device", "pixle"], 2, ["unknown device 'pixle'"]),
        (["bench", "none.tflite"], 2, ["none.tflite"]),
        (["bench", "mynet.py"], 2, ["mynet.py"]),
        (["bench", "--accelerator", "gpu", "none.onnx"], 2, ["gpu"]),
        (["report"], 2, ["edgeeff bench"]),
        (["report", "mynet.py"], 2, ["mynet.py"]),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(folder: Path, arguments: list[str], code: int, words: list[str]) -> None:
    before = sorted(folder.iterdir())
    done = edgeeff(*arguments, cwd=folder)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    for word in words:
        assert word in done.stderr
    assert [p for p in sorted(folder.iterdir()) if p.name != "__pycache__"] == [
        p for p in before if p.name != "__pycache__"
    ]


@pytest.mark.parametrize("name", ["x.tflite", "x.onnx"])
@pytest.mark.parametrize(
    "content", [b"", b"<!DOCTYPE html>", b"PK\x03\x04rest", b"version https://git-lfs.github.com/spec/v1\n", bytes(500)]
)
def test_a_foreign_file_is_one_sentence(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    done = edgeeff("bench", name, "--json", cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert name in json.loads(done.stdout)["error"]["message"]


@pytest.mark.parametrize(("package", "extra"), [("torch", "torch"), ("ai_edge_litert", "tflite"), ("onnx", "onnx")])
def test_a_missing_extra_says_the_pip_command(tmp_path: Path, package: str, extra: str) -> None:
    # A package that cannot be imported is what an absent one looks like to the program.
    for name in (package, *(["tflite_runtime"] if package == "ai_edge_litert" else [])):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise ModuleNotFoundError('no {name}', name={name!r})")
    arguments = ["--variant", "lite0", "--format", "onnx", "--format", "tflite"]
    done = edgeeff("convert", *arguments, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 2, done.stderr
    assert f"pip install 'edgeeff[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_variants_lists_all_families_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from edgeeff.cli import main\n"
        "try: main(['variants', '--json'])\n"
        "finally: assert not {'torch', 'numpy', 'onnx'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    variants = {v["name"]: v for v in json.loads(done.stdout)["variants"]}
    assert [*variants][:13] == [*(f"b{i}" for i in range(8)), *(f"lite{i}" for i in range(5))]
    assert {"mobilenetv1", "mobilenetv2", "mobilenetv3-large", "mnasnet-a1", "resnet152", "squeezenet"} < set(variants)
    assert variants["b0"]["parameters"] == 5_288_548
    assert variants["b7"]["parameters"] == 66_347_960
    assert variants["b0"]["published_top1"] == 0.763
    assert variants["lite4"]["resolution"] == 300


def test_help_lists_every_command(tmp_path: Path) -> None:
    from edgeeff.cli import COMMANDS

    done = edgeeff("--help", cwd=tmp_path)
    assert done.returncode == 0
    assert all(name in done.stdout for name in COMMANDS)
    for name in COMMANDS:
        assert edgeeff(name, "--help", cwd=tmp_path).returncode == 0
