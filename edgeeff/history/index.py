"""An index over the results' lines, by SQLAlchemy: SQLite in the results folder, or PostgreSQL by its URL.

The lines are the truth and the index is derived: it is made again from them wherever it is missing, damaged or of an
older schema. Each results file is a unit: it is read again when its size or time has changed, and what it held is
replaced in one transaction, so a writer that is killed leaves the index as it was before that file, and two writers
at once do the same work twice and no harm.
"""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeeff.errors import MissingExtraError, UsageError
from edgeeff.history.chain import chained
from edgeeff.history.points import Key, Point, rows
from edgeeff.wording import first_line

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

SCHEMA = 2
NAME = ".index.sqlite"
"""In the results folder. It begins with a dot, since it is nothing to keep."""

CHECKS = "checks"
"""Where `edgeeff check` writes, below the results folder."""


class Index:
    """An open index; a context.

    Args:
        url: SQLAlchemy's; "sqlite:///PATH" or "postgresql+psycopg://...".

    Raises:
        MissingExtraError: SQLAlchemy or the database's driver is not installed.
        UsageError: the URL is none, or the database cannot be reached or written.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine = _engine(url)
        self._tables = _tables()

    def __enter__(self) -> Index:
        with _errors(self.url):
            self._prepare()
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.dispose()

    def _prepare(self) -> None:
        """Makes the tables; those of another schema are derived anew."""
        from sqlalchemy import delete, insert, select

        tables = self._tables
        with self._transaction() as connection:
            tables.metadata.create_all(connection, tables=[tables.meta])
            found = connection.execute(select(tables.meta.c.schema)).scalar()
            if found is not None and found > SCHEMA:
                fault = f"was made by a later edgeeff: schema {found}, this one knows {SCHEMA}"
                cure = "pip install --upgrade edgeeff, or name another index with --index"
                raise UsageError(f"the index {_shown(self.url)} {fault}", cure)
            if found is not None and found < SCHEMA:
                tables.metadata.drop_all(connection, tables=[tables.points, tables.files])
            tables.metadata.create_all(connection)
            if found != SCHEMA:
                connection.execute(delete(tables.meta))
                connection.execute(insert(tables.meta).values(schema=SCHEMA))

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """A transaction that no other writer's can cross: each waits for the one before it."""
        from sqlalchemy import text

        with self._engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
            yield connection

    def refresh(self, folder: Path) -> int:
        """Reads what is new or changed in a results folder; returns how many files were read.

        Raises:
            UsageError: a file is damaged or from a later edgeeff; those before it are in the index.
        """
        if not folder.is_dir():
            raise UsageError(f"there are no results at {folder}", "measure first: edgeeff bench")
        source = f"{socket.gethostname()}:{folder.resolve()}"
        paths = sorted([*folder.glob("*.jsonl"), *folder.glob(f"{CHECKS}/*.jsonl")])
        here = {path.relative_to(folder).as_posix(): (path, path.stat()) for path in paths}
        with _errors(self.url):
            known = self._known(source)
            for name in known.keys() - here.keys():
                self._replace(source, name, None, [])
            count = 0
            for name, (path, status) in here.items():
                state = (status.st_size, status.st_mtime_ns)
                if known.get(name) != state:
                    self._replace(source, name, state, list(rows(path)))
                    count += 1
        return count

    def _known(self, source: str) -> dict[str, tuple[int, int]]:
        from sqlalchemy import select

        files = self._tables.files
        with self._engine.connect() as connection:
            rows = connection.execute(select(files).where(files.c.source == source)).all()
        return {row.file: (row.size_bytes, row.modified_ns) for row in rows}

    def _replace(self, source: str, name: str, state: tuple[int, int] | None, points: Sequence[dict[str, Any]]) -> None:
        """What a file held becomes what it holds, in one transaction."""
        from sqlalchemy import insert

        tables = self._tables
        with self._transaction() as connection:
            for table in (tables.points, tables.files):
                connection.execute(table.delete().where(table.c.source == source, table.c.file == name))
            if state is not None:
                fields = {"source": source, "file": name, "size_bytes": state[0], "modified_ns": state[1]}
                connection.execute(insert(tables.files).values(fields))
            if points:
                connection.execute(insert(tables.points), [{"source": source, "file": name, **p} for p in points])

    def series(self) -> dict[Key, list[Point]]:
        """All series, each with its points in the order of time; ratios are chained to their first baseline."""
        from sqlalchemy import select

        points = self._tables.points
        latencies: dict[Key, list[Point]] = {}
        ratios: dict[Key, list[tuple[str, Point]]] = {}
        with _errors(self.url), self._engine.connect() as connection:
            for row in connection.execute(select(points).order_by(points.c.created_unix_s, points.c.id)):
                key = Key(row.device, row.model, row.format, row.precision, row.runtime, row.threads, row.accelerator)
                point = Point(
                    row.created_unix_s, row.session, row.value, row.low, row.high, row.sha256, row.tool_version
                )
                if row.baseline_sha256:
                    ratios.setdefault(key, []).append((row.baseline_sha256, point))
                else:
                    latencies.setdefault(key, []).append(point)
        found = latencies
        for key, compared in ratios.items():
            found |= {replace(key, reference=first): series for first, series in chained(compared).items()}
        return found


def default_url(folder: Path) -> str:
    """Of the index that is in the results folder itself."""
    return f"sqlite:///{(folder / NAME).resolve()}"


@dataclass(frozen=True, slots=True)
class _Tables:
    metadata: Any
    meta: Any
    files: Any
    points: Any


def _tables() -> _Tables:
    from sqlalchemy import BigInteger, Column, Float, Integer, MetaData, Table, Text

    metadata = MetaData()
    meta = Table("edgeeff_meta", metadata, Column("schema", Integer, primary_key=True))
    files = Table(
        "edgeeff_files",
        metadata,
        Column("source", Text, primary_key=True),
        Column("file", Text, primary_key=True),
        Column("size_bytes", BigInteger, nullable=False),
        Column("modified_ns", BigInteger, nullable=False),
    )
    texts = ["source", "file", "measurement", "device", "model", "format", "precision", "runtime", "accelerator"]
    texts += ["baseline_sha256", "session", "sha256", "tool_version"]
    points = Table(
        "edgeeff_points",
        metadata,
        Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
        *(Column(name, Text, nullable=False, index=name in ("source", "model")) for name in texts),
        Column("threads", Integer, nullable=False),
        Column("created_unix_s", Float(53), nullable=False),
        Column("value", Float(53), nullable=False),
        Column("low", Float(53)),
        Column("high", Float(53)),
    )
    return _Tables(metadata, meta, files, points)


def _engine(url: str) -> Engine:
    try:
        import sqlalchemy
    except ModuleNotFoundError as error:
        raise MissingExtraError("sqlalchemy", "history", "a history of results") from error
    try:
        parsed = sqlalchemy.make_url(url)
        if parsed.get_backend_name() not in ("sqlite", "postgresql"):
            raise UsageError(f"--index {_shown(url)}: {parsed.get_backend_name()} is not supported", _CURE)
        if parsed.get_backend_name() == "sqlite" and parsed.database:
            _set_damaged_aside(Path(parsed.database))
            engine = sqlalchemy.create_engine(parsed, connect_args={"timeout": 60, "isolation_level": None})
            # SQLite refuses at once, timeout or not, two transactions that read before they write.
            sqlalchemy.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
            return engine
        return sqlalchemy.create_engine(parsed, connect_args={"connect_timeout": 10})
    except sqlalchemy.exc.ArgumentError as error:
        raise UsageError(f"--index {url!r} is not a database's URL", _CURE) from error
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "postgres", "an index in PostgreSQL") from error


_LOCK = 0x65646765
"""Of PostgreSQL's advisory locks: "edge"."""

_CURE = "say sqlite:///PATH, or postgresql+psycopg://USER@HOST/DATABASE"


def _set_damaged_aside(path: Path) -> None:
    """An index that is damaged, or no database at all, is derived anew; what is there is kept under another name."""
    if not path.exists():
        return
    try:
        with closing(sqlite3.connect(path, timeout=60)) as connection:
            sound = connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
    except sqlite3.OperationalError:
        return  # locked or not readable: not for us to judge
    except sqlite3.DatabaseError:
        sound = False
    if not sound:
        path.replace(path.with_name(f"{path.name}.damaged"))
        for rest in ("-wal", "-shm", "-journal"):
            path.with_name(path.name + rest).unlink(missing_ok=True)


@contextmanager
def _errors(url: str) -> Iterator[None]:
    """The database's errors as one sentence each."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except SQLAlchemyError as error:
        reason = first_line(getattr(error, "orig", None) or error)
        raise UsageError(
            f"the index {_shown(url)} cannot be used: {reason}",
            "the results themselves are safe; see that it can be reached and has space, or name another with --index",
        ) from error


def _shown(url: str) -> str:
    """The URL without its password."""
    from sqlalchemy import make_url

    return make_url(url).render_as_string(hide_password=True)
