"""What our HTTP APIs look like from outside: values that each API keeps beside its routes, and the
OpenAPI document that is made of them. The shapes of bodies come from the pydantic models that read them.

Source: OpenAPI Specification 3.1.1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

JSON: Final = ("application/json",)

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
        headers: what the answer's own headers say, by name.
    """

    description: str
    content: Content | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """One route with one method.

    Attributes:
        path: below the API's mount, with parameters in braces: `/v1/{mpid}/modify`.
        id: a name for it, of its own within the whole document.
        answers: by status; every one that the route can give.
        security: the ways to prove who calls, each the names of the schemes it takes together; none
            for a route that everybody may use.
    """

    path: str
    id: str
    summary: str
    answers: Mapping[HTTPStatus, Answer]
    method: str = "post"
    description: str = ""
    body: Content | None = None
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
                for answer in operation.answers.values():
                    if answer.content is not None:
                        shape = answer.content.shape
                        wanted[_key(answer.content), "serialization"] = TypeAdapter(shape)
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
            str(status.value): _answer(answer, shapes)
            for status, answer in operation.answers.items()
        },
    }
    if operation.body is not None:
        described["requestBody"] = {
            "required": True,
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
    if answer.content is not None:
        described["content"] = shapes.of(answer.content, "serialization")
    return described
