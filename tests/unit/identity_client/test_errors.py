"""The error tree: what its docstring draws is what there is."""

import inspect

import pytest

from higgs_shop import identity_client
from higgs_shop.identity_client import errors
from higgs_shop.identity_client.errors import ErrorDetail, IdentityError, Refused

ERRORS = [
    error
    for _, error in inspect.getmembers(errors, inspect.isclass)
    if issubclass(error, IdentityError)
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_stands_in_the_tree_and_is_public(error: type[IdentityError]) -> None:
    assert f" {error.__name__} " in (errors.__doc__ or "")
    assert getattr(identity_client, error.__name__) is error


def test_every_code_is_its_own() -> None:
    codes = [error.code for error in ERRORS]
    assert len(set(codes)) == len(codes)
    assert all(code.replace("_", "").isalpha() and code.islower() for code in codes)


def test_a_refusal_tells_what_the_service_said() -> None:
    error = Refused(400, [ErrorDetail("BAD_REQUEST", "no identities")], "R-1")
    assert str(error) == "HTTP 400: BAD_REQUEST: no identities"
    assert (error.status_code, error.errors, error.request_id) == (
        400,
        (("BAD_REQUEST", "no identities"),),
        "R-1",
    )


def test_the_table_of_contents_is_complete() -> None:
    public = {
        name
        for name, value in vars(identity_client).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert public == set(identity_client.__all__)
    assert list(identity_client.__all__) == sorted(identity_client.__all__)
