"""What a decision meant for a profile, told from its steps."""

import dataclasses

import pytest

from higgs_shop.idsync_service.history import Chapter, TakenStep

ME, OTHER = 1, 2


def chapter(*steps: tuple[str, int], mpid: int = ME, previous_mpid: int | None = None) -> Chapter:
    """A decision with these steps, each a rule and the profile that it is about."""
    taken = tuple(TakenStep(rule, rule, None, (about,)) for rule, about in steps)
    return Chapter(1, ME, "login", 0, mpid, previous_mpid, "default", (), taken)


@pytest.mark.parametrize(
    ("of", "outcome"),
    [
        pytest.param(
            chapter(("looked_up", ME), ("profile_created", ME), ("identity_added", ME)),
            "made",
            id="made",
        ),
        pytest.param(
            chapter(("anonymous_profile_converted", ME), ("identity_added", ME)),
            "converted",
            id="converted",
        ),
        pytest.param(
            chapter(("unique_identity_taken", OTHER), ("identity_replaced", ME)),
            "changed",
            id="took_from_another",
        ),
        pytest.param(chapter(("identity_removed", ME)), "changed", id="removed"),
        pytest.param(chapter(("looked_up", ME), ("returned", ME)), "returned", id="returned"),
        pytest.param(
            chapter(("unique_identity_taken", ME), ("orphaned", ME), mpid=OTHER),
            "orphaned",
            id="orphaned_by_another",
        ),
        pytest.param(
            chapter(("identity_removed", ME), ("orphaned", ME)), "orphaned", id="removed_its_last"
        ),
        pytest.param(chapter(("unique_identity_taken", ME), mpid=OTHER), "lost", id="lost"),
        pytest.param(
            chapter(
                ("unique_identity_taken", ME),
                ("profile_created", OTHER),
                mpid=OTHER,
                previous_mpid=ME,
            ),
            "lost",
            id="lost_and_left",
        ),
        pytest.param(
            chapter(("profile_created", OTHER), mpid=OTHER, previous_mpid=ME), "left", id="left"
        ),
        pytest.param(
            dataclasses.replace(
                chapter(("alias_carried_out", ME), mpid=OTHER, previous_mpid=ME), action="alias"
            ),
            "aliased",
            id="aliased",
        ),
    ],
)
def test_the_outcome_is_told_from_the_steps(of: Chapter, outcome: str) -> None:
    assert of.outcome == outcome


def test_the_effects_are_the_steps_that_changed_this_profile() -> None:
    of = chapter(
        ("looked_up", ME),
        ("unique_identity_taken", OTHER),
        ("identity_added", ME),
        ("returned", ME),
    )
    assert [step.rule for step in of.effects] == ["identity_added"]


def test_told_is_what_decided_what_that_did_and_what_others_lost_by_it() -> None:
    of = chapter(
        ("looked_up", OTHER),
        ("different_login_id", OTHER),
        ("new_person", OTHER),
        ("profile_created", ME),
        ("unique_identity_taken", OTHER),
        ("identity_added", ME),
    )
    assert [step.rule for step in of.told] == [
        "new_person",
        "unique_identity_taken",
        "identity_added",
    ]


def test_what_somebody_else_lost_is_not_told_to_a_third() -> None:
    of = chapter(("new_person", OTHER), ("unique_identity_taken", 3), mpid=OTHER, previous_mpid=ME)
    assert [step.rule for step in of.told] == ["new_person"]
