"""The options of `edgeeff check` that write its verdicts for CI systems."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeeff.cli._shared import say
from edgeeff.errors import UsageError
from edgeeff.files import cannot_write, replacing

if TYPE_CHECKING:
    from edgeeff.compare import Check

SUMMARY = "GITHUB_STEP_SUMMARY"


@dataclass(frozen=True, slots=True)
class Reports:
    """Where the verdicts go beside the terminal; None where they do not."""

    junit: Path | None
    markdown: Path | None
    gitlab_metrics: Path | None
    gitlab_codequality: Path | None
    github: bool

    def write(self, checks: Sequence[Check]) -> None:
        """Writes all that was asked for.

        Raises:
            UsageError: a file cannot be written; the verdict is on the terminal already.
        """
        from edgeeff.report.checks import github, gitlab, junit, markdown

        renderers = (
            (self.junit, junit.render),
            (self.markdown, markdown.render),
            (self.gitlab_metrics, gitlab.metrics),
            (self.gitlab_codequality, gitlab.code_quality),
        )
        for path, render in renderers:
            if path is not None:
                with replacing(path) as temporary:
                    temporary.write_text(render(checks), encoding="utf-8")
                say(f"wrote {path}")
        if self.github:
            # GitHub reads commands from both streams; standard output may be holding a JSON document.
            click.echo(github.commands(checks), nl=False, err=True)
            _append_summary(github.summary(checks))


def _append_summary(text: str) -> None:
    """Adds to the step's summary, which other tools write to as well."""
    name = os.environ.get(SUMMARY)
    if not name:
        return
    try:
        with Path(name).open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise cannot_write(Path(name), error) from error


def report_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options; the command gets them as one `reports` argument."""

    @click.option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Write JUnit XML.")
    @click.option("--markdown", type=click.Path(path_type=Path), metavar="FILE", help="Write a comment's Markdown.")
    @click.option("--github", is_flag=True, help="Annotate the GitHub workflow and add to its summary.")
    @click.option("--gitlab-metrics", type=click.Path(path_type=Path), metavar="FILE", help="Write a metrics report.")
    @click.option(
        "--gitlab-codequality", type=click.Path(path_type=Path), metavar="FILE", help="Write a code quality report."
    )
    @functools.wraps(command)
    def wrapped(
        *args: Any,
        junit: Path | None,
        markdown: Path | None,
        github: bool,
        gitlab_metrics: Path | None,
        gitlab_codequality: Path | None,
        **rest: Any,
    ) -> Any:
        paths = [path for path in (junit, markdown, gitlab_metrics, gitlab_codequality) if path is not None]
        if len(set(paths)) < len(paths):
            raise UsageError("two reports cannot go to one file", "give each its own name")
        return command(*args, reports=Reports(junit, markdown, gitlab_metrics, gitlab_codequality, github), **rest)

    return wrapped
