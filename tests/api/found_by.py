"""By which columns a statement finds the rows of each of its tables, read off its SQL."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import sqlglot
from sqlglot import exp

_NARROWING: Final = (exp.EQ, exp.In, exp.LT, exp.LTE)


@dataclass(frozen=True)
class Use:
    """A table in a statement, and the columns that narrow it down.

    Attributes:
        alias: what the table is called in the statement.
        values: the value that was given for a column, by the column's name.
        others: the column of another table, as `alias.column`, that a column must equal.
        columns: every column that narrows it down, by whatever.
    """

    table: str
    alias: str
    values: dict[str, Any] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)
    columns: set[str] = field(default_factory=set)


def uses(sql: str, values: Sequence[Any]) -> list[Use]:
    """Each table of a SQLite statement, subqueries included, as often as it is used."""
    numbers = count()
    named = "".join(f":p{next(numbers)}" if letter == "?" else letter for letter in sql)
    given = {f"p{number}": value for number, value in enumerate(values)}
    statement = sqlglot.parse_one(named, dialect="sqlite")
    nodes = statement.find_all(exp.Select, exp.Update, exp.Delete)
    found = [use for node in nodes for use in _uses_in(node, given)]
    if isinstance(statement, exp.Insert):
        found += _inserted(statement, given)
    return found


def _uses_in(node: exp.Expr, given: Mapping[str, Any]) -> list[Use]:
    sources = [source for source in _sources(node) if isinstance(source, exp.Table)]
    tables = [Use(source.name, source.alias_or_name) for source in sources]
    own_joins = [join for join in node.find_all(exp.Join) if join.parent_select is node]
    conditions = [node.args.get("where"), *(join.args.get("on") for join in own_joins)]
    for condition in (part for whole in conditions for part in _parts(whole)):
        for use in tables:
            _note(use, condition, given, is_alone=len(tables) == 1)
    return tables


def _sources(node: exp.Expr) -> Iterator[exp.Expr]:
    if not isinstance(node, exp.Select):
        yield node.this
        return
    for clause in (node.args.get("from_"), *node.find_all(exp.Join)):
        if clause is not None and clause.parent_select is node:
            source = clause.this
            yield source.this if isinstance(source, exp.Paren | exp.Subquery) else source


def _parts(condition: exp.Expr | None) -> Iterator[exp.Expr]:
    """What must hold all at once."""
    match condition:
        case None:
            return
        case exp.Where() | exp.Paren():
            yield from _parts(condition.this)
        case exp.And():
            yield from _parts(condition.left)
            yield from _parts(condition.right)
        case _:
            yield condition


def _note(use: Use, condition: exp.Expr, given: Mapping[str, Any], *, is_alone: bool) -> None:
    if not isinstance(condition, _NARROWING):
        return
    left, right = condition.this, condition.args.get("expression")
    for side, other in ((left, right), (right, left)):
        if not isinstance(side, exp.Column) or side.table not in {
            use.alias,
            "" if is_alone else use.alias,
        }:
            continue
        use.columns.add(side.name)
        if isinstance(condition, exp.EQ) and isinstance(other, exp.Placeholder):
            use.values[side.name] = given[other.name]
        elif isinstance(condition, exp.EQ) and isinstance(other, exp.Column):
            use.others[side.name] = f"{other.table}.{other.name}"


def _inserted(statement: exp.Insert, given: Mapping[str, Any]) -> Iterator[Use]:
    """One for each row of values, or for all that a select gives."""
    into, source = statement.this, statement.expression
    rows = source.expressions if isinstance(source, exp.Values) else [source]
    for row in rows:
        use = Use(into.this.name, "")
        for column, value in zip(into.expressions, row.expressions, strict=True):
            if isinstance(value, exp.Placeholder):
                use.values[column.name] = given[value.name]
            elif isinstance(value, exp.Column):
                use.others[column.name] = f"{value.table}.{value.name}"
        yield use
