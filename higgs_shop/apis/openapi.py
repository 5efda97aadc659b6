"""What our HTTP APIs look like from outside: values that each API keeps beside its routes, and the
OpenAPI document that is made of them. The shapes of bodies come from the pydantic models that read them.

Source: OpenAPI Specification 3.1.1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Literal

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

JSON: Final = ("application/json",)

Hundred = Literal["2XX", "3XX", "4XX", "5XX"]
"""Every status of one kind that is not described by itself."""

_REF_TEMPLATE: Final = "#/components/schemas/{model}"


@dataclass(frozen=True, slots=True)
class Parameter:
    """What stands in a path, a query or a header.

    Attributes:
        place: path, query or header.
        shape: its JSON Schema.
    """

    name: str
    place: str
    description: str
    shape: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Content:
    """A body that is sent or answered.

    Attributes:
        shape: a pydantic model, or any type that pydantic can describe.
        examples: by name, each with what it shows.
        media_types: every one in which it may come.
    """

    shape: Any
    examples: Mapping[str, Any] = field(default_factory=dict)
    media_types: tuple[str, ...] = JSON


@dataclass(frozen=True, slots=True)
class Answer:
    """What one status means.

    Attributes:
        content: None for an empty body.
        instead: what it may have in its place, each of another media type.
        headers: what the answer's own headers say, by name.
    """

    description: str
    content: Content | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    instead: tuple[Content, ...] = ()

    @property
    def contents(self) -> tuple[Content, ...]:
        """Everything that it may have."""
        return self.instead if self.content is None else (self.content, *self.instead)


@dataclass(frozen=True, slots=True)
class Operation:
    """One route with one method.

    Attributes:
        path: below the API's mount, with parameters in braces: `/v1/{mpid}/modify`.
        id: a name for it, of its own within the whole document.
        answers: by status; every one that the route can give.
        other_answers: for a route that gives others besides, any of a kind.
        needs_body: whether there has to be one.
        security: the ways to prove who calls, each the names of the schemes it takes together; none
            for a route that everybody may use.
    """

    path: str
    id: str
    summary: str
    answers: Mapping[HTTPStatus, Answer]
    other_answers: Mapping[Hundred, Answer] = field(default_factory=dict)
    method: str = "post"
    description: str = ""
    body: Content | None = None
    needs_body: bool = True
    parameters: tuple[Parameter, ...] = ()
    security: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Api:
    """Operations that belong together.

    Attributes:
        security_schemes: by name, as OpenAPI spells them.
    """

    name: str
    description: str
    operations: tuple[Operation, ...]
    security_schemes: Mapping[str, Mapping[str, str]]


def document(title: str, version: str, apis: Mapping[str, Api]) -> dict[str, Any]:
    """The OpenAPI document of several APIs, each below its mount, e.g. `/identity`."""
    shapes = _Shapes(apis)
    paths: dict[str, Any] = {}
    for mount, api in apis.items():
        for operation in api.operations:
            item = paths.setdefault(mount + operation.path, {})
            item[operation.method] = _operation(operation, api, shapes)
    return {
        "openapi": "3.1.1",
        "info": {"title": title, "version": version},
        "servers": [{"url": "/"}],
        "tags": [{"name": api.name, "description": api.description} for api in apis.values()],
        "paths": paths,
        "components": {
            "schemas": shapes.definitions,
            "securitySchemes": {
                name: dict(scheme)
                for api in apis.values()
                for name, scheme in api.security_schemes.items()
            },
        },
    }


class _Shapes:
    """The JSON Schemas of all contents: each model once, referred to from wherever it is used."""

    def __init__(self, apis: Mapping[str, Api]) -> None:
        wanted: dict[tuple[str, JsonSchemaMode], TypeAdapter[Any]] = {}
        for api in apis.values():
            for operation in api.operations:
                if operation.body is not None:
                    wanted[_key(operation.body), "validation"] = TypeAdapter(operation.body.shape)
                for answer in (*operation.answers.values(), *operation.other_answers.values()):
                    for content in answer.contents:
                        adapter = TypeAdapter[Any](content.shape)
                        wanted[_key(content), "serialization"] = adapter
        self._schemas, common = TypeAdapter.json_schemas(
            [(key, mode, adapter) for (key, mode), adapter in wanted.items()],
            ref_template=_REF_TEMPLATE,
        )
        self.definitions: dict[str, Any] = common.get("$defs", {})

    def of(self, content: Content, mode: JsonSchemaMode) -> dict[str, Any]:
        media = {"schema": self._schemas[_key(content), mode]}
        if content.examples:
            media["examples"] = {name: {"value": value} for name, value in content.examples.items()}
        return dict.fromkeys(content.media_types, media)


def _key(content: Content) -> str:
    return repr(content.shape)


def _operation(operation: Operation, api: Api, shapes: _Shapes) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [api.name],
        "summary": operation.summary,
        "description": operation.description,
        "security": [{name: [] for name in together} for together in operation.security],
        "parameters": [_parameter(parameter) for parameter in operation.parameters],
        "responses": {
            **{
                str(status.value): _answer(each, shapes)
                for status, each in operation.answers.items()
            },
            **{kind: _answer(each, shapes) for kind, each in operation.other_answers.items()},
        },
    }
    if operation.body is not None:
        described["requestBody"] = {
            "required": operation.needs_body,
            "content": shapes.of(operation.body, "validation"),
        }
    return described


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.description,
        "required": parameter.place == "path",
        "schema": dict(parameter.shape),
    }


def _answer(answer: Answer, shapes: _Shapes) -> dict[str, Any]:
    described: dict[str, Any] = {"description": answer.description}
    if answer.headers:
        described["headers"] = {
            name: {"description": meaning, "schema": {"type": "string"}}
            for name, meaning in answer.headers.items()
        }
    for content in answer.contents:
        described.setdefault("content", {}).update(shapes.of(content, "serialization"))
    return described
