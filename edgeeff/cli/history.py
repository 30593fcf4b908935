"""`edgeeff history`: how latencies went over time, from the results' lines."""

from __future__ import annotations

from pathlib import Path

import click

from edgeeff.cli._fit import print_text
from edgeeff.cli._shared import json_option, print_json, say
from edgeeff.errors import UsageError, unknown_name
from edgeeff.wording import counted


@click.command("history")
@click.argument("results", type=click.Path(path_type=Path), default=Path("results"))
@click.option(
    "--index",
    "url",
    envvar="EDGEEFF_INDEX",
    help="sqlite:///PATH, or postgresql+psycopg://USER@HOST/DATABASE that several machines share. Default: in RESULTS.",
)
@click.option("--model", help="Only this variant or file, with every point.")
@click.option("--device", help="Only this device.")
@json_option
def history(results: Path, url: str | None, model: str | None, device: str | None, as_json: bool) -> None:
    """Show the trend of each model on each device, steps in it, and creep that no single check catches.

    RESULTS is a folder that edgeeff bench and edgeeff check wrote. What is shown comes from an index over its lines,
    which is brought up to date first and made anew where it is lost.
    """
    from edgeeff.history.index import Index, default_url
    from edgeeff.report.history_table import history_json, history_text, trends

    if not results.is_dir():
        raise UsageError(f"there are no results at {results}", "measure first: edgeeff bench")
    with Index(url or default_url(results)) as index:
        read = index.refresh(results)
        series = index.series()
    say(f"{counted(read, 'results file')} new or changed")
    if not series:
        raise UsageError(f"no history in {results}", "measure first: edgeeff bench")
    for kind, name, known in (
        ("model", model, {key.model for key in series}),
        ("device", device, {key.device for key in series if model in (None, key.model)}),
    ):
        if name is not None and name not in known:
            raise unknown_name(f"{kind} in the history of {results}", name, known)
    wanted = {k: v for k, v in series.items() if model in (None, k.model) and device in (None, k.device)}
    found = trends(wanted)
    if as_json:
        print_json(history_json(found))
    else:
        print_text(history_text(found, details=model is not None))
