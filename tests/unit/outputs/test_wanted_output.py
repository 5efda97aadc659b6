"""An output as somebody wants it: texts that are checked, and secrets that are rotated."""

from ipaddress import IPv4Network

import pytest

from higgs_shop.networks import PUBLIC, Reach
from higgs_shop.outputs import (
    MOST_SECRETS,
    Output,
    OutputRefused,
    OutputSettings,
    as_texts,
    changed_output,
    fingerprint,
    new_output,
    signing_secret_or_new,
    with_another_secret,
    without_secret,
)

OWN = "whsec_" + "QUJD" * 10
USUAL = "whsec_" + "REVG" * 10


def an_output(
    *from_environment: str, settings: OutputSettings | None = None, authorization: str = ""
) -> Output:
    """One that is set so."""
    settings = settings or OutputSettings()
    secrets: tuple[str, ...] = ()
    return Output(
        id=1,
        workspace_id="default",
        name="webhook",
        settings=settings,
        authorization=authorization,
        secrets=secrets,
        from_environment=from_environment,
        state="running",
        pause_reason="",
        paused_at_ms=None,
        is_full=False,
        gathering="no",
        unreachable_since_ms=None,
        left_alone_until_ms=None,
        created_at_ms=1,
    )


def refused(given: dict[str, str]) -> dict[str, str]:
    """What is said against these texts, by field."""
    with pytest.raises(OutputRefused) as caught:
        new_output(given, reach=PUBLIC)
    assert "canary" not in str(caught.value)
    return {mistake.field: mistake.reason for mistake in caught.value.mistakes}


class TestTexts:
    """From texts to settings, and back."""

    def test_a_name_is_enough(self) -> None:
        wanted = new_output({"name": "second"}, reach=PUBLIC)
        assert wanted.settings == OutputSettings()
        assert wanted.authorization == ""
        assert wanted.secret.startswith("whsec_")
        assert wanted.secret != new_output({"name": "second"}, reach=PUBLIC).secret

    def test_texts_lead_to_the_settings_that_they_came_from(self) -> None:
        settings = OutputSettings(
            url="https://receiver.example/hook",
            is_active=False,
            left_out_metadata=("source_info", "device_info.platform"),
            unique_id="store-7",
        )
        texts = as_texts(an_output(settings=settings))
        assert texts["is_active"] == "off"
        assert new_output({"name": "second", **texts}, reach=PUBLIC).settings == settings

    def test_everything_that_is_wrong_is_named(self) -> None:
        found = refused(
            {
                "name": "Second",
                "url": "ftp://x",
                "is_active": "perhaps",
                "authorization": "ä canary",
                "secret": "canary",
                "colour": "red",
            }
        )
        assert set(found) == {"name", "url", "is_active", "authorization", "secret", "colour"}
        assert found["is_active"] == "use on or off"

    @pytest.mark.parametrize("name", ["", "a" * 41, "-a", "a-", "Ä", "a b", "a\n", "a/b", "\x00"])
    def test_a_name_stands_in_addresses(self, name: str) -> None:
        assert set(refused({"name": name})) == {"name"}

    @pytest.mark.parametrize(
        "url", ["http://10.0.0.1/x", "http://2130706433/", "http://[fd00::1]/"]
    )
    def test_an_address_that_nothing_is_sent_to_is_no_url(self, url: str) -> None:
        reason = refused({"name": "a", "url": url})["url"]
        assert reason.endswith("nothing is sent unless HIGGS_SHOP_PERMITTED_NETWORKS lists it")

    @pytest.mark.parametrize("url", ["http://10.0.0.1/x", "http://shop.test/", "http://9.9.9.9/"])
    def test_one_that_is_permitted_is_taken_and_so_is_a_name(self, url: str) -> None:
        reach = Reach(networks=(IPv4Network("10.0.0.0/8"),))
        assert new_output({"name": "a", "url": url}, reach=reach).settings.url == url

    def test_what_is_secret_is_not_in_its_repr(self) -> None:
        wanted = new_output({"name": "a", "authorization": "canary", "secret": OWN}, reach=PUBLIC)
        assert "canary" not in repr(wanted)
        assert OWN not in repr(wanted)


class TestChanging:
    """Other texts for an output that is there."""

    def test_what_is_not_given_stays(self) -> None:
        before = OutputSettings(unique_id="store-7", send_as_batch=True)
        settings, authorization = changed_output(
            an_output(settings=before, authorization="Bearer x"),
            {"unique_id": "store-8"},
            reach=PUBLIC,
        )
        assert settings == before.model_copy(update={"unique_id": "store-8"})
        assert authorization == "Bearer x"

    def test_the_authorization_goes_when_that_is_asked_for(self) -> None:
        output = an_output(authorization="Bearer x")
        assert changed_output(output, {"authorization": ""}, reach=PUBLIC)[1] == "Bearer x"
        assert changed_output(output, {"authorization": "Basic y"}, reach=PUBLIC)[1] == "Basic y"
        assert changed_output(output, {}, reach=PUBLIC, forgets_authorization=True)[1] == ""

    def test_what_the_environment_gives_is_not_even_looked_at(self) -> None:
        given = OutputSettings(url="https://given.example/")
        settings, _ = changed_output(
            an_output("url", settings=given), {"url": "ftp://x"}, reach=PUBLIC
        )
        assert settings.url == "https://given.example/"

    def test_an_address_that_nothing_is_sent_to_is_refused_unless_it_was_there(self) -> None:
        closed = OutputSettings(url="http://10.0.0.1/hook")
        settings, _ = changed_output(an_output(settings=closed), {"is_active": "off"}, reach=PUBLIC)
        assert settings == closed.model_copy(update={"is_active": False})
        with pytest.raises(OutputRefused, match=r"url: 10\.0\.0\.2 is in 10\.0\.0\.0/8"):
            changed_output(
                an_output(settings=closed), {"url": "http://10.0.0.2/hook"}, reach=PUBLIC
            )


class TestRotation:
    """One secret after another, with both in between."""

    def test_the_usual_one_signs_on_beside_the_first_of_its_own(self) -> None:
        assert with_another_secret((), OWN, usual=USUAL) == (USUAL, OWN)
        assert without_secret((USUAL, OWN), fingerprint(USUAL)) == (OWN,)

    def test_none_signs_twice_and_not_too_many_do(self) -> None:
        with pytest.raises(OutputRefused, match="signs already"):
            with_another_secret((), USUAL, usual=USUAL)
        secrets: tuple[str, ...] = (OWN,)
        while len(secrets) < MOST_SECRETS:
            secrets = with_another_secret(secrets, signing_secret_or_new(""), usual=USUAL)
        with pytest.raises(OutputRefused, match="remove the oldest first"):
            with_another_secret(secrets, signing_secret_or_new(""), usual=USUAL)

    def test_the_last_one_stays(self) -> None:
        with pytest.raises(OutputRefused, match="last one stays"):
            without_secret((OWN,), fingerprint(OWN))

    def test_one_that_is_gone_already_changes_nothing(self) -> None:
        assert without_secret((OWN, USUAL), "0" * 12) == (OWN, USUAL)

    def test_a_typed_secret_is_checked(self) -> None:
        assert signing_secret_or_new(OWN) == OWN
        for wrong in ("whsec_", "whsec_QUJD", "QUJD" * 10, f"{OWN}ä", "whsec_!" * 9):
            with pytest.raises(OutputRefused):
                signing_secret_or_new(wrong)

    def test_a_fingerprint_tells_secrets_apart_and_gives_none_away(self) -> None:
        assert fingerprint(OWN) != fingerprint(USUAL)
        assert fingerprint(OWN) not in OWN
