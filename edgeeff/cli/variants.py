"""`edgeeff variants`: the networks that edgeeff knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from edgeeff import registry
from edgeeff.cli._shared import json_option, print_json
from edgeeff.errors import unknown_name
from edgeeff.report._table import Column, Table, text

if TYPE_CHECKING:
    from edgeeff.values import Variant

COLUMNS = (
    Column("variant"),
    Column("width", "decimal"),
    Column("depth", "decimal"),
    Column("resolution, px", "decimal"),
    Column("parameters, M", "decimal"),
    Column("multiply-adds, M", "decimal"),
    Column("published top-1, %", "decimal"),
)


@click.command("variants")
@click.option("--family", "families", multiple=True, metavar="NAME", help="Only this family. Repeatable.")
@json_option
def variants(families: Sequence[str], as_json: bool) -> None:
    """List the networks by family: coefficients, parameters, multiply-adds, and the accuracy their authors published.

    Width and depth are multiples of the family's first network, or of the network itself where it is no scaling of
    another. Any other scaling can be converted with --width, --depth, --resolution or --phi.
    """
    known = registry.families()
    for name in families:
        if name not in known:
            raise unknown_name("family", name, known)
    found = [variant for name in known if not families or name in families for variant in known[name].variants.values()]
    if as_json:
        print_json({"variants": [_fields(variant) for variant in found]})
    else:
        click.echo("\n".join(_lines(found)))


def _fields(variant: Variant) -> dict[str, Any]:
    published = variant.published
    return {
        "name": variant.name,
        "family": variant.family,
        "architecture": variant.architecture,
        "width": variant.width,
        "depth": variant.depth,
        "resolution": variant.resolution,
        "parameters": variant.parameters,
        "macs": variant.macs,
        "published_top1": published.top1 if published else None,
        "published_source": published.source if published else None,
        "source": variant.source,
    }


def _lines(found: Sequence[Variant]) -> list[str]:
    """One table with a line for each family in it, and where the accuracies come from."""
    sources: dict[str, int] = {}
    for variant in found:
        if variant.published:
            sources.setdefault(_source(variant), len(sources) + 1)
    title, rule, *rows = text(Table(COLUMNS, [_row(variant, sources) for variant in found])).splitlines()
    lines = [title, rule]
    family = None
    for variant, row in zip(found, rows, strict=True):
        if variant.family != family:
            lines += ["", f"{variant.family}: {variant.source}"]
            family = variant.family
        lines.append(row)
    notes = [f"[{number}] {source}" for source, number in sources.items()]
    return [*lines, "", "Parameters and multiply-adds: with 1000 classes, one image at its resolution.", *notes]


def _source(variant: Variant) -> str:
    return variant.published.source.partition(";")[0] if variant.published else ""


def _row(variant: Variant, sources: dict[str, int]) -> list[str]:
    top1 = f"{variant.published.top1 * 100:.1f} [{sources[_source(variant)]}]" if variant.published else "?"
    return [
        variant.name,
        f"{variant.width:.1f}",
        f"{variant.depth:.1f}",
        str(variant.resolution),
        _millions(variant.parameters, 3),
        _millions(variant.macs, 1),
        top1,
    ]


def _millions(count: int | None, digits: int) -> str:
    return "?" if count is None else f"{count / 1e6:,.{digits}f}"
