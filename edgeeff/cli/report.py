"""`edgeeff report`: where each file stands against the MnasNet objective."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from edgeeff import registry, store
from edgeeff.cli._fit import print_text
from edgeeff.cli._shared import json_option, say, without_collection
from edgeeff.cli._types import MACS, Positive
from edgeeff.errors import UsageError
from edgeeff.files import replacing
from edgeeff.objective import TARGET_S, parse_exponents
from edgeeff.profiling.profiles import Profile, read_profiles
from edgeeff.report import to_csv, to_json, to_markdown, to_text
from edgeeff.report.accuracies import read_accuracies
from edgeeff.report.build import Inputs, build
from edgeeff.report.values import Report, Settings
from edgeeff.values import Measurement

RENDERERS: dict[str, Callable[[Report], str]] = {
    "text": to_text.render,
    "markdown": to_markdown.render,
    "json": to_json.render,
    "csv": to_csv.render,
}


@click.command("report")
@click.argument("results", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--target-ms", type=Positive(), default=TARGET_S * 1e3, show_default=True, help="T: the latency to aim at."
)
@click.option(
    "--target-macs", type=MACS, default="400M", show_default=True, help="T in multiply-adds: EfficientNet-B0's."
)
@click.option(
    "--w", default="soft", show_default=True, help="What ranks: soft (-0.07), hard (0,-1), a number, or alpha,beta."
)
@click.option(
    "--accuracy",
    type=click.Path(path_type=Path),
    help="JSON or CSV of accuracies that you measured: top1 (0.751 or 75.1%) and variant, path or sha256; "
    "format and precision narrow it. A variant without precision means its fp32 files.",
)
@click.option(
    "--format", "form", type=click.Choice(list(RENDERERS)), default="text", show_default=True, help="Of the report."
)
@json_option
@click.option("--out", type=click.Path(path_type=Path), help="Write to this file instead of the terminal.")
@click.option("--html", "page", type=click.Path(path_type=Path), help="Also write a page to look at: one file.")
@click.option("--figures", type=click.Path(path_type=Path), help="Also write the figures to this folder: PNG and SVG.")
@without_collection()
def report(
    results: tuple[Path, ...],
    target_ms: float,
    target_macs: int,
    w: str,
    accuracy: Path | None,
    form: str,
    as_json: bool,
    out: Path | None,
    page: Path | None,
    figures: Path | None,
) -> None:
    """Show where each measured file stands against the MnasNet objective ACC * (LAT / T)^w.

    RESULTS are files or folders that `edgeeff bench` wrote; ./results by default. The latest measurement of each
    file counts, and files are ranked against those of the same device and number of threads.
    """
    settings = Settings(target_ms / 1e3, float(target_macs), parse_exponents(w))
    given = read_accuracies(accuracy) if accuracy else ()
    paths = results or (Path("results"),)
    measurements = _read(paths)
    variants = {name: variant for family in registry.families().values() for name, variant in family.variants.items()}
    built = build(measurements, Inputs(variants, given), settings)
    if page is not None:
        from edgeeff.report import to_html

        _write(page, to_html.render(built, _profiles(paths)))
    if figures is not None:
        from edgeeff.report.figures import write_figures

        drawn = write_figures(built, figures)
        say(f"wrote {len(drawn)} figures into {figures}")
    text = RENDERERS["json" if as_json else form](built)
    if out is None:
        print_text(text)
    else:
        _write(out, text)


def _profiles(paths: tuple[Path, ...]) -> list[Profile]:
    return [profile for path in paths if path.is_dir() for profile in read_profiles(path)]


def _write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    say(f"wrote {path}")


def _read(paths: tuple[Path, ...]) -> list[Measurement]:
    measurements = []
    for path in paths:
        if not path.exists():
            raise UsageError(f"there are no results at {path}", "measure first: edgeeff bench")
        measurements += store.read_lazily(path)
    if not measurements:
        raise UsageError(f"no measurement in {', '.join(map(str, paths))}", "measure first: edgeeff bench")
    return measurements
