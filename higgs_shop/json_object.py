"""One JSON object made of many rows, which SQLite and PostgreSQL spell differently."""

from typing import Any

from sqlalchemy import JSON, ColumnElement
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class json_object_of(FunctionElement[dict[str, Any]]):  # noqa: N801 (reads as the SQL function it is)
    """Aggregates a text and a JSON column. Without rows, None or an empty object."""

    type = JSON()
    inherit_cache = True

    def __init__(self, name: ColumnElement[str], value: ColumnElement[Any]) -> None:
        super().__init__(name, value)


@compiles(json_object_of, "sqlite")
def _for_sqlite(element: json_object_of, compiler: Any, **options: Any) -> str:
    name, value = element.clauses
    # A JSON column is text to SQLite; unless told, it would quote it.
    return f"json_group_object({compiler.process(name, **options)}, json({compiler.process(value, **options)}))"


@compiles(json_object_of, "postgresql")
def _for_postgresql(element: json_object_of, compiler: Any, **options: Any) -> str:
    return f"json_object_agg({compiler.process(element.clauses, **options)})"
