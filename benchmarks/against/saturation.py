"""What x86 without VNNI makes of int8 weights: accuracy of three ways to store them, here and on an emulated Haswell.

    python -m edgeeff.benchmarks.against.saturation --calibration PHOTOS --images OTHER_PHOTOS

It needs qemu's user mode emulation (Debian: apt install qemu-user), which computes exactly what the instructions do and
says nothing of their speed. The ways:

    full range   weights up to 127: right where sums have 32 bits
    7 bits       weights up to 63, which onnxruntime's own quantizer calls reduce_range
    pairs        `--for x86-avx2`: weights up to 127, but for pairs whose sum could be cut (edgeeff/int8/machines.py)
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from edgeeff.artifacts import read_manifest
from edgeeff.int8.calibration import load
from edgeeff.parity import sqnr_db
from edgeeff.report._table import Column, Table, text

if TYPE_CHECKING:
    from numpy.typing import NDArray

EMULATORS = ("qemu-x86_64", "qemu-x86_64-static")
CPU = "Haswell"
"""Intel's first with AVX2, of 2013. qemu 7.2 and later emulate AVX2."""

COLUMNS = (Column("weights"), Column("processor"), Column("SQNR, dB", "decimal"), Column("same top-1, %", "decimal"))


@click.command()
@click.option("--variant", default="lite0", show_default=True)
@click.option("--weights", default="pretrained", show_default=True)
@click.option("--calibration", type=click.Path(path_type=Path), required=True, help="A folder of photos.")
@click.option("--images", type=click.Path(path_type=Path), required=True, help="Others, to judge by.")
def main(variant: str, weights: str, calibration: Path, images: Path) -> None:
    """Compare ways to store int8 weights on this processor and on an emulated one without VNNI."""
    emulator = next(filter(None, map(shutil.which, EMULATORS)), None)
    if emulator is None:
        raise SystemExit(f"none of {', '.join(EMULATORS)} is installed: apt install qemu-user")
    with tempfile.TemporaryDirectory() as folder:
        files = _convert(Path(folder), variant, weights, calibration)
        manifest = read_manifest(files["float"])
        assert manifest is not None
        assert manifest.resolution is not None
        assert manifest.normalisation is not None
        loaded = load(images, manifest.resolution, manifest.normalisation)
        shown = Path(folder) / "images.npy"
        np.save(shown, np.concatenate([loaded.images, loaded.held_out]))
        expected = _run([], files["float"], shown)
        rows = []
        for name in ("full range", "7 bits", "pairs"):
            for processor, prefix in (("this one", []), (f"emulated {CPU}", [emulator, "-cpu", CPU])):
                outputs = _run(prefix, files[name], shown)
                same = float((outputs.argmax(-1) == expected.argmax(-1)).mean())
                rows.append([name, processor, f"{sqnr_db([expected], [outputs]):.1f}", f"{100 * same:.0f}"])
    print(text(Table(COLUMNS, rows)), end="")
    print(f"{len(expected)} images; against the float network")


def _convert(folder: Path, variant: str, weights: str, calibration: Path) -> dict[str, Path]:
    """The float file, and those of the three ways to store weights."""
    command = [sys.executable, "-m", "edgeeff", "convert", "--variant", variant, "--weights", weights]
    command += ["--format", "onnx", "--out", str(folder)]
    integers = ["--precision", "int8", "--calibration", str(calibration), "--for"]
    for options in (["--precision", "fp32"], [*integers, "x86-vnni"], [*integers, "x86-avx2"]):
        subprocess.run([*command, *options], check=True)
    files = {
        name: next(folder.glob(pattern))
        for name, pattern in (("float", "*fp32*.onnx"), ("full range", "*vnni.onnx"), ("pairs", "*avx2.onnx"))
    }
    files["7 bits"] = folder / "7-bits.onnx"
    _reduce(files["full range"], files["7 bits"])
    return files


def _reduce(source: Path, target: Path) -> None:
    """Writes a file of which no weight is beyond 63."""
    import onnx

    model = onnx.load(str(source))
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in constants:
            stored, scale = (onnx.numpy_helper.to_array(constants[name]) for name in node.input[:2])
            rounded = np.rint(stored * (63 / 127)).astype(stored.dtype)
            for name, values in zip(node.input, (rounded, scale * np.float32(127 / 63)), strict=False):
                constants[name].CopyFrom(onnx.numpy_helper.from_array(values, name))
    onnx.save(model, str(target))


def _run(prefix: Sequence[str], model: Path, images: Path) -> NDArray[Any]:
    """The outputs of a file for each image, in a process of its own behind the prefix."""
    target = model.with_suffix(".outputs.npy")
    # -P: the folder of this module is no place to look for packages.
    argv = [*prefix, sys.executable, "-P", "-c", _CHILD, str(model), str(images), str(target)]
    subprocess.run(argv, check=True, stderr=subprocess.DEVNULL if prefix else None)
    outputs: NDArray[Any] = np.load(target)
    return outputs


_CHILD = """
import sys, numpy, onnxruntime
model, images, target = sys.argv[1:]
options = onnxruntime.SessionOptions()
options.intra_op_num_threads, options.log_severity_level = 1, 3
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
numpy.save(target, numpy.concatenate([session.run(None, {name: image[None]})[0] for image in numpy.load(images)]))
"""


if __name__ == "__main__":
    main()
