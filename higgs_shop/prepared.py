"""Core statements that are compiled once and then handed to the driver, where every identity call and every delivery waits.

Between a Core statement and the driver, SQLAlchemy does the same work at each execution: it costs more
than SQLite's own. The statement stays the source; only how it is executed differs. Who listens to
`before_cursor_execute` hears of it, and errors are SQLAlchemy's, all the same.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import CompoundSelect, Connection, Dialect, Insert, Select, Update
from sqlalchemy.exc import DBAPIError

_Values = Mapping[str, Any]
_Convert = Callable[[Any], Any]

Statement = Insert | Update | Select[*tuple[Any, ...]] | CompoundSelect[*tuple[Any, ...]]


class Prepared:
    """A statement whose values are given by name, or fixed in it, and whose lists do not vary in length.

    Args:
        statement: an insert is for all columns of its table but a number that the database gives;
            one that returns something names its values itself.
    """

    def __init__(self, statement: Statement) -> None:
        self._statement: Final = statement
        self._compiled: Final[dict[str, _Compiled]] = {}

    def write(self, connection: Connection, *rows: _Values) -> int:
        """Execute it for each row, one at least. Returns: how many rows were written."""
        compiled = self._for(connection.dialect)
        given = [compiled.parameters(row) for row in rows]
        if len(given) == 1:
            return execute(connection, compiled.sql, given[0]).row_count
        return execute(connection, compiled.sql, given, many=True).row_count

    def rows(self, connection: Connection, values: _Values) -> list[Sequence[Any]]:
        """Execute it, and read all that a select finds, or that a write returns."""
        compiled = self._for(connection.dialect)
        executed = execute(connection, compiled.sql, compiled.parameters(values))
        return [compiled.read(row) for row in executed.rows]

    def _for(self, dialect: Dialect) -> "_Compiled":
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled[dialect.name] = _compile(self._statement, dialect)
        return compiled


class PreparedForSeveral:
    """A statement about several things at once, prepared for each number of them that comes up.

    Args:
        make: given their number, makes the statement; the values of the first are called `…_0`.
    """

    def __init__(self, make: Callable[[int], Statement]) -> None:
        self._make: Final = make
        self._prepared: Final[dict[int, Prepared]] = {}

    def write(self, connection: Connection, things: Sequence[_Values], **common: Any) -> int:
        """Execute it once. Returns: how many rows were written."""
        return self._of(things).write(connection, common | _numbered(things))

    def rows(
        self, connection: Connection, things: Sequence[_Values], **common: Any
    ) -> list[Sequence[Any]]:
        """Execute it once, and read all that it finds."""
        return self._of(things).rows(connection, common | _numbered(things))

    def _of(self, things: Sequence[_Values]) -> Prepared:
        found = self._prepared.get(len(things))
        if found is None:
            found = self._prepared[len(things)] = Prepared(self._make(len(things)))
        return found


def _numbered(things: Sequence[_Values]) -> dict[str, Any]:
    return {
        f"{name}_{number}": value
        for number, values in enumerate(things)
        for name, value in values.items()
    }


class Executed(NamedTuple):
    """What a statement has read, and how many rows it was about."""

    rows: Sequence[Sequence[Any]]
    row_count: int


def execute(
    connection: Connection, sql: str, parameters: Any = (), *, many: bool = False
) -> Executed:
    """Hand a statement to the driver, inside the transaction that the connection is in.

    Args:
        parameters: as the driver takes them; with `many`, a list of such.
    Raises: sqlalchemy.exc.DBAPIError, of the kind that fits.
    """
    cursor = connection.connection.cursor()
    for listen in connection.dispatch.before_cursor_execute:
        listen(connection, cursor, sql, parameters, None, many)
    try:
        (cursor.executemany if many else cursor.execute)(sql, parameters)
        rows = cursor.fetchall() if cursor.description else []
        return Executed(rows, cursor.rowcount)
    except connection.dialect.loaded_dbapi.Error as error:
        raise _as_core_raises(error, connection, sql, parameters, many=many) from error
    finally:
        cursor.close()


def _as_core_raises(
    error: Any, connection: Connection, sql: str, parameters: Any, *, many: bool
) -> BaseException:
    dialect = connection.dialect
    is_lost = dialect.is_disconnect(error, connection.connection.dbapi_connection, None)
    if is_lost:
        connection.invalidate(error)
    raised: BaseException = DBAPIError.instance(
        sql,
        parameters,
        error,
        dialect.loaded_dbapi.Error,
        hide_parameters=True,  # what people typed stays out of the log
        connection_invalidated=is_lost,
        dialect=dialect,
        ismulti=many,
    )
    return raised


@dataclass(frozen=True, slots=True)
class _Compiled:
    """The SQL, how each value is given to the driver, and which columns are read how."""

    sql: str
    given: Sequence[tuple[str, _Convert | None]]
    fixed: _Values
    is_positional: bool
    read_as: Sequence[tuple[int, _Convert]]

    def parameters(self, values: _Values) -> Any:
        if self.fixed:
            values = {**self.fixed, **values}
        parameters = [
            values[name] if convert is None else convert(values[name])
            for name, convert in self.given
        ]
        if self.is_positional:
            return tuple(parameters)
        return {name: value for (name, _), value in zip(self.given, parameters, strict=True)}

    def read(self, row: Sequence[Any]) -> Sequence[Any]:
        members = list(row)
        for place, convert in self.read_as:
            members[place] = convert(members[place])
        return members


def _compile(statement: Any, dialect: Dialect) -> _Compiled:
    read = statement.exported_columns  # none of a write that returns nothing
    selected = [column.type.dialect_impl(dialect) for column in read]
    columns = None
    if isinstance(statement, Insert) and not selected:
        columns = [column.name for column in statement.table.c if column.autoincrement is not True]
    compiled = statement.compile(dialect=dialect, column_keys=columns)
    given = {
        name: bound.type.dialect_impl(dialect).bind_processor(dialect)
        for name, bound in compiled.binds.items()
    }
    read_as = [(place, of.result_processor(dialect, None)) for place, of in enumerate(selected)]
    return _Compiled(
        sql=str(compiled),
        fixed={
            name: bound.effective_value
            for name, bound in compiled.binds.items()
            if not bound.required and bound.effective_value is not None
        },
        given=[(name, given[name]) for name in compiled.positiontup or given],
        is_positional=compiled.positiontup is not None,
        read_as=[(place, convert) for place, convert in read_as if convert is not None],
    )
