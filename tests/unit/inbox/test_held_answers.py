"""Few answers are held back at once; who finds no room is told so at once, and nobody waits for it."""

from higgs_shop.inbox import HeldAnswers


def test_there_is_room_for_so_many_and_again_when_one_is_done() -> None:
    held = HeldAnswers(2)

    with held.place() as first, held.place() as second, held.place() as third:
        assert first.take()
        assert second.take()
        assert not third.take()
    with held.place() as place:
        assert place.take()


def test_a_place_that_was_not_taken_makes_no_room() -> None:
    held = HeldAnswers(1)

    with held.place() as place:
        assert place.take()
        with held.place():
            pass
        with held.place() as other:
            assert not other.take()


def test_a_store_that_ends_holds_nothing_back_any_more() -> None:
    held = HeldAnswers(1)
    held.close()

    with held.place() as place:
        assert place.take()
        place.hold(3_600_000)
