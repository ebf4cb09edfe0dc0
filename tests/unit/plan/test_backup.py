from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from stackroles.plan.backup import Mark, Member, choose_source, due

NOW = datetime(2026, 11, 1, tzinfo=UTC)

members = st.lists(
    st.builds(
        Member,
        st.sampled_from([f"demo-mariadb-{n}" for n in range(12)]),
        st.sampled_from(["", "10.0.0.1"]),
        st.booleans(),
    ),
    unique_by=lambda member: member.name,
    max_size=9,
)


@given(members, st.sampled_from([None, *(f"demo-mariadb-{n}" for n in range(12))]))
def test_a_source_is_ready_and_not_the_writer_of_a_cluster(
    cluster: list[Member], writer: str | None
) -> None:
    source = choose_source(cluster, writer)

    if source is not None:
        assert source.ready
        assert source.address
        assert source.name != writer or len(cluster) == 1


def test_the_highest_ordinal_is_taken_by_number_not_by_letter() -> None:
    cluster = [Member(f"m-{n}", "10.0.0.1", True) for n in (2, 10, 9)]

    chosen = choose_source(cluster, "m-2")

    assert chosen is not None
    assert chosen.name == "m-10"


def test_nothing_is_taken_while_the_writer_is_unknown() -> None:
    assert choose_source([Member("m-0", "a", True), Member("m-1", "b", True)], None) is None


def test_a_single_member_is_its_own_source() -> None:
    only = Member("m-0", "a", True)

    assert choose_source([only], "m-0") == only
    assert choose_source([Member("m-0", "a", False)], "m-0") is None


def test_marks_are_acted_on_once_and_in_order() -> None:
    marks = [
        Mark("late", NOW + timedelta(hours=2)),
        Mark("early", NOW),
        Mark("old", NOW - timedelta(1)),
    ]

    assert [mark.name for mark in due(marks, NOW - timedelta(hours=1))] == ["early", "late"]
    assert due(marks, NOW + timedelta(hours=2)) == ()
    assert [mark.name for mark in due(marks, None)] == ["old", "early", "late"]
