"""`edgeeff variants`: the networks that edgeeff knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from edgeeff import registry
from edgeeff.cli._shared import json_option, print_json
from edgeeff.report._table import Column, Table, text

if TYPE_CHECKING:
    from edgeeff.values import Variant


@click.command("variants", short_help="List the networks.")
@json_option
def variants(as_json: bool) -> None:
    """List the networks: coefficients, parameters, multiply-adds, and the accuracy their authors published."""
    found = [variant for family in registry.families().values() for variant in family.variants.values()]
    if as_json:
        print_json({"variants": [_fields(variant) for variant in found]})
        return
    click.echo(text(_table(found)))
    click.echo("parameters and multiply-adds: of the whole network with 1000 classes, one image at its resolution")
    sources = dict.fromkeys(variant.published.source.partition(";")[0] for variant in found if variant.published)
    for source in sources:
        click.echo(f"published top-1: {source}")


def _fields(variant: Variant) -> dict[str, Any]:
    published = variant.published
    return {
        "name": variant.name,
        "family": variant.family,
        "width": variant.width,
        "depth": variant.depth,
        "resolution": variant.resolution,
        "parameters": variant.parameters,
        "macs": variant.macs,
        "published_top1": published.top1 if published else None,
        "published_source": published.source if published else None,
        "source": variant.source,
    }


def _table(found: list[Variant]) -> Table:
    columns = [
        Column("variant"),
        Column("family"),
        Column("width", "decimal"),
        Column("depth", "decimal"),
        Column("resolution, px", "decimal"),
        Column("parameters, M", "decimal"),
        Column("multiply-adds, M", "decimal"),
        Column("published top-1, %", "decimal"),
    ]
    rows = [
        [
            variant.name,
            variant.family,
            f"{variant.width:.1f}",
            f"{variant.depth:.1f}",
            str(variant.resolution),
            _millions(variant.parameters, 3),
            _millions(variant.macs, 1),
            f"{variant.published.top1 * 100:.1f}" if variant.published else "?",
        ]
        for variant in found
    ]
    return Table(columns, rows)


def _millions(count: int | None, digits: int) -> str:
    return "?" if count is None else f"{count / 1e6:,.{digits}f}"
