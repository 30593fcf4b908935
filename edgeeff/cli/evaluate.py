"""`edgeeff evaluate`: how right a file is, and how close to its float file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeeff import registry
from edgeeff.cli._fit import print_text
from edgeeff.cli._shared import json_option, print_json, say
from edgeeff.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    from edgeeff.evaluation.classifier import Classifier
    from edgeeff.evaluation.dataset import Dataset
    from edgeeff.evaluation.scores import Evaluation

_SAID_EACH_S = 20.0
"""Between two lines of progress where nobody watches a bar."""


@click.command("evaluate")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), required=True, help="A folder of images: one folder a class.")
@click.option("--labels", type=click.Path(path_type=Path), help="A file of labels, in place of class folders.")
@click.option("--against", type=click.Path(path_type=Path), help="The float file to compare with, on the same images.")
@click.option("--classes", type=click.Path(path_type=Path), help="Names of the outputs, one a line. Default: ImageNet.")
@click.option(
    "--normalisation", metavar="NAME", help="imagenet, lite, centred, unit or raw. Default: as the manifest says."
)
@click.option("--resolution", type=click.IntRange(1, 4096), help="Pixels, for a file that leaves them open.")
@click.option("--threads", type=click.IntRange(1, 999), help="Of the runtime. Default: one a core.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("evaluations"), show_default=True, help="The folder."
)
@json_option
def evaluate(
    file: Path,
    data: Path,
    labels: Path | None,
    against: Path | None,
    classes: Path | None,
    normalisation: str | None,
    resolution: int | None,
    threads: int | None,
    out: Path,
    as_json: bool,
) -> None:
    """Measure FILE's accuracy on the images of a folder, in FILE's own runtime.

    Class folders are named by index, WordNet id or name (ImageNet's), and so are the labels of a labels file.
    With --against, both files run on each image: agreement, SQNR of the outputs and the paired difference.
    Predictions are kept as they are made: a run that was stopped goes on where it was. Accuracies go to
    accuracies.json in --out, which `edgeeff report --accuracy` reads.
    """
    from edgeeff.evaluation.classes import classes_of
    from edgeeff.evaluation.dataset import find, find_unlabelled

    paths = [file] if against is None else [file, against]
    files = [_load(path, normalisation, resolution, threads) for path in paths]
    if len({loaded.outputs for loaded in files}) > 1:
        raise UsageError(
            f"{file} has {files[0].outputs} outputs and {against} has {files[1].outputs}: they cannot be compared"
        )
    features = any(loaded.features for loaded in files)
    if features and against is None:
        raise UsageError(f"{file} gives features, not classes", "compare it with its float file: --against FILE")
    if features:
        dataset = find_unlabelled(data)
    else:
        known = classes_of(files[0].outputs, classes, str(file))
        dataset = find(data, known, files[0].outputs, labels, need_labels=against is None)
    found = _run(files, dataset, out)
    if as_json:
        from edgeeff.report.evaluation_table import evaluation_json

        print_json(evaluation_json(found))
    else:
        from edgeeff.report.evaluation_table import evaluation_text

        print_text(evaluation_text(found))


def _load(path: Path, normalisation: str | None, resolution: int | None, threads: int | None) -> Classifier:
    from edgeeff.artifacts import read_manifest
    from edgeeff.evaluation.classifier import load
    from edgeeff.measuring.cases import format_of

    format_name = format_of(path)
    converter = registry.converter(format_name)
    manifest = read_manifest(path)
    try:
        precision = manifest.precision if manifest else converter.inspect(path).precision
    except MissingExtraError:  # a board may have a runtime and no package that reads its files
        precision = "unknown"
    return load(
        path,
        registry.runtime(converter.runtime),
        manifest,
        format_name=format_name,
        precision=precision,
        normalisation=normalisation,
        resolution=resolution,
        threads=threads,
    )


def _run(files: list[Classifier], dataset: Dataset, out: Path) -> Evaluation:
    """Predicts what is not in the journal yet, scores, and stores the accuracies."""
    from edgeeff.evaluation.journal import Journal, header, journal_path
    from edgeeff.evaluation.predictions import predict
    from edgeeff.evaluation.results import NAME, entries, merge
    from edgeeff.evaluation.scores import score

    head = header(files, dataset)
    total = len(dataset.examples)
    with Journal(journal_path(out, files[0].path.stem, head), head) as journal:
        rest = [example for example in dataset.examples if example.name not in journal.known]
        if len(rest) < total:
            say(f"{total - len(rest)} of {total} images are in {journal.path} already")
        try:
            with _progress(len(rest)) as show:
                for prediction in predict(rest, files):
                    journal.add(prediction)
                    show()
        except KeyboardInterrupt:
            say(f"{len(journal.known)} of {total} images are in {journal.path}: the same command goes on from there")
            raise
        found = score(files, dataset, [journal.known[example.name] for example in dataset.examples])
    made = entries(found)
    if made:
        merge(out / NAME, made)
        say(f"edgeeff report --accuracy {out / NAME} takes these accuracies, once edgeeff bench has timed the files")
    return found


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """A bar where a person watches, else a line now and then."""
    if sys.stderr.isatty() and total:
        with click.progressbar(length=total, file=sys.stderr, show_pos=True) as bar:
            yield lambda: bar.update(1)
        return
    began = said = time.monotonic()
    done = 0

    def count() -> None:
        nonlocal said, done
        done += 1
        now = time.monotonic()
        if now - said >= _SAID_EACH_S:
            said = now
            left = (now - began) / done * (total - done)
            say(f"{done} of {total} images, {done / (now - began):.1f} a second, {left / 60:.0f} min left")

    yield count
