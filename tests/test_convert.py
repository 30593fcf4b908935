"""Converting: parity decides whether a file gets its name, and what stood there before survives every failure."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from edgeeff import parity, registry
from edgeeff.artifacts import manifest_path, read_manifest
from edgeeff.convert import convert, file_name
from edgeeff.converters import trace
from edgeeff.errors import ConversionError, UsageError
from edgeeff.files import replacing, sha256_of
from edgeeff.networks import NOISE_LABEL, from_variant, noise
from edgeeff.report.artifacts_table import artifacts_text
from edgeeff.traced_network import Network
from edgeeff.weights.sources import load

FORMATS = ("onnx", "tflite")


def small_network() -> Network:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))
    inputs = noise([(1, 3, 16, 16)])
    traced = trace(module, [torch.from_numpy(inputs[0])], name="small")
    parameters = sum(p.numel() for p in module.parameters())
    return Network("small", traced.graph, inputs, traced.outputs, NOISE_LABEL, "random(seed=0)", parameters)


def cancelling_network() -> Network:
    """Its second convolution takes off again the 10000 that the first adds: float32 keeps some 80 dB of the rest."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with torch.no_grad():
        module[0].bias.add_(1e4)
        module[1].bias.sub_(module[1].weight.sum((1, 2, 3)) * 1e4)
    inputs = noise([(1, 3, 16, 16)])
    traced = trace(module, [torch.from_numpy(inputs[0])], name="cancelling")
    with torch.no_grad():
        exact = module.double()(torch.from_numpy(inputs[0]).double()).numpy()
    network = Network("cancelling", traced.graph, inputs, traced.outputs, NOISE_LABEL, "random(seed=0)", 1)
    return replace(network, exact=lambda _: (exact,))


def test_a_network_that_float32_itself_computes_badly_is_judged_by_that(tmp_path):
    network = cancelling_network()
    own_db = parity.sqnr_db(network.exact(network.inputs), network.outputs)
    for artifact in convert(network, targets(), tmp_path):
        assert artifact.parity.limit_db == max(70, own_db - 12) <= artifact.parity.sqnr_db < 100
        assert f"the limit was {artifact.parity.limit_db:.1f} dB, not 100" in artifacts_text([artifact])
    with pytest.raises(ConversionError, match="the limit is 100 dB"):
        list(convert(replace(network, exact=None), targets(), tmp_path))


def test_the_float_limit_stays_between_70_and_100_db() -> None:
    ones = np.ones(4)
    assert parity.float_limit_db([ones], [ones]) == 100
    assert parity.float_limit_db([ones], [ones * (1 + 1e-5)]) == pytest.approx(88, abs=0.01)
    assert parity.float_limit_db([ones], [ones * 1.1]) == 70


def test_a_familys_network_is_computed_in_float64_too() -> None:
    network = variant_network("lite0")
    (exact,) = network.exact(network.inputs)
    assert exact.dtype == np.float64
    assert 100 < parity.sqnr_db([exact], network.outputs) < parity.EQUAL_DB


def targets(precision: str = "fp32", formats: tuple[str, ...] = FORMATS):
    found = [registry.converter(name) for name in formats]
    return [(converter, registry.runtime(converter.runtime), precision) for converter in found]


def variant_network(name: str, weights: str = "random", padding: str | None = None) -> Network:
    (family,) = (f for f in registry.families().values() if name in f.variants)
    variant = family.variants[name]
    return from_variant(variant, family, load(variant, family, weights, classes=None, padding=padding), trace)


@pytest.fixture(scope="module")
def lite0() -> Network:
    return variant_network("lite0", "pretrained")


@pytest.fixture(scope="module")
def b0() -> Network:
    return variant_network("b0")


def test_real_lite0_weights_reach_parity_in_every_format_and_precision(lite0, tmp_path):
    for precision in ("fp32", "fp16"):
        for artifact in convert(lite0, targets(precision), tmp_path):
            assert artifact.path.name == f"lite0-{precision}.{artifact.format}"
            assert artifact.parity.sqnr_db >= parity.LIMITS_DB[precision]
            assert artifact.parameters == 4_652_008
            assert artifact.macs == registry.families()["efficientnet_lite"].variants["lite0"].macs
            assert artifact.size_bytes == artifact.path.stat().st_size
            assert sha256_of(artifact.path) == artifact.sha256
            assert artifact.weights_sha256.startswith("57934424")  # as the name of the weights' file says
            assert read_manifest(artifact.path) == artifact
    sizes = {path.name: path.stat().st_size for path in tmp_path.glob("*.*") if path.suffix != ".json"}
    for name in FORMATS:
        assert sizes[f"lite0-fp16.{name}"] < 0.51 * sizes[f"lite0-fp32.{name}"]


def tflite_ops(network: Network, folder: Path) -> Mapping[str, int]:
    (artifact,) = convert(network, targets("fp32", ("tflite",)), folder)
    return registry.converter("tflite").inspect(artifact.path).op_counts


def test_lite0_is_sixty_tflite_ops(lite0, tmp_path):
    assert tflite_ops(lite0, tmp_path) == {
        "CONV_2D": 33,
        "DEPTHWISE_CONV_2D": 16,
        "ADD": 9,
        "MEAN": 1,
        "FULLY_CONNECTED": 1,
    }


B0_OPS = {
    "CONV_2D": 65,
    "LOGISTIC": 65,
    "MUL": 65,
    "MEAN": 17,
    "DEPTHWISE_CONV_2D": 16,
    "ADD": 9,
    "FULLY_CONNECTED": 1,
}


def test_b0_pads_nowhere_in_tensorflows_way_and_five_times_in_torchs(b0, tmp_path):
    assert tflite_ops(b0, tmp_path) == B0_OPS
    assert tflite_ops(variant_network("b0", padding="symmetric"), tmp_path) == {**B0_OPS, "PAD": 5}


@pytest.mark.parametrize("padding", ["same", "symmetric"])
def test_onnx_is_clean(padding, tmp_path):
    (artifact,) = convert(variant_network("b0", padding=padding), targets("fp32", ("onnx",)), tmp_path)
    model = onnx.load(artifact.path)
    onnx.checker.check_model(model, full_check=True)
    kinds = {node.op_type for node in model.graph.node}
    assert not kinds & {"BatchNormalization", "Pad", "Transpose", "Reshape", "Identity", "Constant"}
    assert model.opset_import[0].version >= 20
    (image,) = model.graph.input
    dims = image.type.tensor_type.shape.dim
    assert [dim.dim_param or dim.dim_value for dim in dims] == ["batch", 3, 224, 224]
    assert {prop.key for prop in model.metadata_props} >= {"variant", "weights", "mean", "std"}
    batch = np.zeros((3, 3, 224, 224), np.float32)
    (logits,) = registry.runtime("onnxruntime").infer(artifact.path, [batch])
    assert logits.shape == (3, 1000)


def test_the_same_input_gives_the_same_bytes(tmp_path):
    first = {a.path.name: a.sha256 for a in convert(small_network(), targets(), tmp_path / "a")}
    second = {a.path.name: a.sha256 for a in convert(small_network(), targets(), tmp_path / "b")}
    assert first == second


def test_random_weights_are_part_of_the_name():
    network = small_network()
    assert file_name(network, "fp32", "onnx") == "small-fp32-random-seed0.onnx"
    assert file_name(replace(network, weights="pretrained(x.pth)"), "fp16", "tflite") == "small-fp16.tflite"
    mine = replace(network, weights="file(a b.pth)", weights_sha256="0123456789abcdef", classes=1000)
    assert file_name(mine, "fp16", "tflite") == "small-fp16-file-a-b.pth-01234567.tflite"
    other = replace(mine, padding="symmetric", classes=0)
    assert file_name(other, "fp16", "tflite") == "small-fp16-file-a-b.pth-01234567-symmetric-features.tflite"


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_file_that_computes_something_else_is_not_kept(format_name, tmp_path):
    network = small_network()
    (good,) = convert(network, targets("fp32", (format_name,)), tmp_path)
    before = good.path.read_bytes(), manifest_path(good.path).read_bytes()
    wrong = replace(network, outputs=(network.outputs[0] * 1.001,))
    with pytest.raises(ConversionError, match=r"60\.\d dB.*limit is 100 dB") as caught:
        list(convert(wrong, targets("fp32", (format_name,)), tmp_path))
    assert caught.value.exit_code == 6
    assert (good.path.read_bytes(), manifest_path(good.path).read_bytes()) == before
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("format_name", FORMATS)
def test_weights_beyond_float16_are_named(format_name, tmp_path):
    module = nn.Conv2d(3, 8, 1)
    nn.init.constant_(module.bias, 7e4)
    inputs = noise([(1, 3, 4, 4)])
    traced = trace(module, [torch.from_numpy(inputs[0])], name="large")
    network = replace(small_network(), graph=traced.graph, inputs=inputs, outputs=traced.outputs)
    with pytest.raises(ConversionError, match="bias: the value 70000 exceeds float16's largest"):
        list(convert(network, targets("fp16", (format_name,)), tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_outputs_that_are_no_numbers_are_not_parity():
    assert parity.sqnr_db([[1.0, np.nan]], [[1.0, np.nan]]) == -np.inf
    assert parity.sqnr_db([[1.0]], [[np.inf]]) == -np.inf
    assert parity.sqnr_db([[0.0]], [[1e-9]]) == -np.inf
    assert parity.sqnr_db([[3.0]], [[3.0]]) == parity.sqnr_db([[0.0]], [[0.0]]) == parity.EQUAL_DB
    assert parity.sqnr_db([[1.0]], [[0.9]]) == pytest.approx(20)


def test_a_manifest_speaks_for_one_content_only(tmp_path):
    (artifact,) = convert(small_network(), targets("fp32", ("onnx",)), tmp_path)
    artifact.path.write_bytes(artifact.path.read_bytes() + b"x")
    assert read_manifest(artifact.path) is None
    manifest_path(artifact.path).write_text('{"schema": 99}')
    with pytest.raises(UsageError, match="schema 99"):
        read_manifest(artifact.path)
    for damaged in ("", "[]", '{"schema": 1}', "{" * 100_000, '{"schema": "x"}'):
        manifest_path(artifact.path).write_text(damaged)
        with pytest.raises(UsageError, match="not a manifest"):
            read_manifest(artifact.path)


@pytest.mark.parametrize(("field", "value"), [("variant", 5), ("macs", 2**64), ("precision", None), ("notes", "x")])
def test_a_manifest_whose_fields_make_no_sense_is_refused(tmp_path, field, value):
    # Else its values would go into the results, where no reader takes them.
    (artifact,) = convert(small_network(), targets("fp32", ("onnx",)), tmp_path)
    source = manifest_path(artifact.path)
    source.write_text(json.dumps({**json.loads(source.read_text()), field: value}))
    with pytest.raises(UsageError, match="not a manifest"):
        read_manifest(artifact.path)


def test_replacing_takes_no_device_and_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # A symbolic link: were the check missing, the test would replace the link and not the machine's device.
    (tmp_path / "device").symlink_to("/dev/null")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "device", tmp_path / "folder", Path(), Path("/")):
        with pytest.raises(UsageError, match="not a regular file"), replacing(path):
            pass
    assert (tmp_path / "device").is_char_device() and (tmp_path / "folder").is_dir()


def test_replacing_keeps_what_was_there_when_the_block_fails(tmp_path):
    target = tmp_path / "x.bin"
    target.write_text("old")
    with pytest.raises(KeyboardInterrupt), replacing(target) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_is_one_sentence(tmp_path):
    # A limit on file sizes is what a full disk looks like to a writer, without a mount.
    code = (
        "import resource, signal, sys; from pathlib import Path; from edgeeff.files import replacing\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "from edgeeff.errors import EdgeeffError\n"
        "try:\n"
        "    with replacing(Path(sys.argv[1])) as p: p.write_bytes(bytes(5000))\n"
        "except EdgeeffError as e: print(e); sys.exit(e.exit_code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "x.bin")], capture_output=True, text=True)
    assert done.returncode == 2
    assert "cannot write" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_stopped_while_the_temporary_file_is_being_opened_none_stays(tmp_path, monkeypatch):
    real = os.open

    def interrupted(*arguments):
        real(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "open", interrupted)
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "x.bin"):
        raise AssertionError("the block must not be entered")
    assert list(tmp_path.iterdir()) == []


def test_no_space_names_the_cure():
    from edgeeff.files import cannot_write

    error = cannot_write(Path("/data/x.onnx"), OSError(errno.ENOSPC, "No space left on device"))
    assert (
        str(error)
        == "cannot write /data/x.onnx: no space left on device\n  free some space, or choose another folder with --out"
    )


def test_interrupted_at_any_step_nothing_half_written_stays(tmp_path):
    """As soon as each line of its progress is there: the steps between them are of some 0.1 to 1 s."""
    argv = [sys.executable, "-m", "edgeeff", "convert", "--variant", "lite0", "--format", "onnx", "--format", "tflite"]
    for step in ("tracing lite0", "lite0-fp32.onnx", "lite0-fp32.tflite"):
        process = subprocess.Popen(
            [*argv, "--out", str(tmp_path)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert any(step in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=600)
        assert process.returncode in (0, 130)  # the last step may have ended
        assert "Traceback" not in stderr
        for path in tmp_path.iterdir():
            if path.suffix == ".json":
                assert read_manifest(path.with_suffix("")) is not None
            else:
                assert registry.converter(path.suffix[1:]).inspect(path).macs
