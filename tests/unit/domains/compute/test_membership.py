from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from stackroles.domains.compute.membership import Candidate, Claim, plan_enrolment

SELECTOR = {"compute": "yes"}


def claim(name: str = "ns/a", **changes: object) -> Claim:
    values = {
        "name": name,
        "label": name.replace("/", "."),
        "uid": name,
        "selector": SELECTOR,
        "created": "2026-01-01T00:00:00Z",
    }
    return Claim(**(values | changes))  # type: ignore[arg-type]


def node(
    name: str = "n1", claimed: str = "", ready: bool = True, enrolled: str = "", **labels: str
) -> Candidate:
    return Candidate(
        name=name,
        labels=labels or SELECTOR,
        claimed=claimed,
        ready=ready,
        enrolled={enrolled: enrolled} if enrolled else {},
    )


def test_a_ready_node_with_the_labels_is_taken() -> None:
    assert plan_enrolment(claim(), [], [node()]).enrol == ("n1",)


def test_a_node_that_is_not_ready_waits() -> None:
    plan = plan_enrolment(claim(), [], [node(ready=False)])
    assert (plan.enrol, plan.waiting) == ((), ("n1",))


def test_a_node_whose_address_is_of_ipv6_is_not_taken_and_a_member_stays() -> None:
    new, member = node(), node("n2", claimed="ns.a")
    nodes = [replace(new, ipv6="fd00::1"), replace(member, ipv6="fd00::2")]
    plan = plan_enrolment(claim(), [], nodes)
    assert (plan.enrol, plan.members) == ((), ("n2",))
    assert plan.ipv6 == {"n1": "fd00::1"}
    assert plan.selected == 2


def test_a_member_stays_a_member_while_it_is_not_ready() -> None:
    plan = plan_enrolment(claim(), [], [node(claimed="ns.a", ready=False)])
    assert plan.members == ("n1",)


def test_a_node_without_the_labels_is_left_alone() -> None:
    plan = plan_enrolment(claim(), [], [node(other="label")])
    assert plan.selected == 0
    assert plan.leaving == ()


def test_a_member_that_lost_the_labels_leaves() -> None:
    plan = plan_enrolment(claim(), [], [node(claimed="ns.a", other="label")])
    assert plan.leaving == ("n1",)


def test_a_node_of_another_pool_is_refused_by_that_pools_name() -> None:
    plan = plan_enrolment(claim(), [claim("ns/b")], [node(claimed="ns.b")])
    assert plan.taken == {"n1": "ns/b"}


def test_the_younger_of_two_pools_is_refused_a_node_nobody_has() -> None:
    old, young = claim("ns/z"), claim("ns/a", created="2026-02-01T00:00:00Z")
    assert plan_enrolment(old, [young], [node()]).enrol == ("n1",)
    assert plan_enrolment(young, [old], [node()]).taken == {"n1": "ns/z"}


def test_a_label_of_a_pool_that_is_gone_binds_nobody() -> None:
    assert plan_enrolment(claim(), [], [node(claimed="ns.gone")]).enrol == ("n1",)


def test_a_label_of_a_namespace_that_is_not_watched_binds() -> None:
    stolen = Candidate(name="n1", labels=SELECTOR, claimed="b.q", foreign=True)
    plan = plan_enrolment(claim(), [], [stolen])
    assert plan.enrol == ()
    assert plan.taken["n1"].startswith("b.q of a namespace that is not watched")


def test_a_pool_that_is_deleted_gives_all_its_nodes_back_and_takes_none() -> None:
    nodes = [node(claimed="ns.a"), node("n2")]
    plan = plan_enrolment(claim(deleting=True), [], nodes)
    assert (plan.leaving, plan.enrol) == (("n1",), ())


def test_a_pool_that_is_deleted_does_not_stand_before_another() -> None:
    young = claim("ns/b", created="2026-02-01T00:00:00Z")
    assert plan_enrolment(young, [claim(deleting=True)], [node()]).enrol == ("n1",)


def test_a_node_that_another_pool_has_not_let_go_of_is_waited_for() -> None:
    plan = plan_enrolment(claim(), [claim("ns/b")], [node(enrolled="ns/b"), node("n2")])
    assert (plan.enrol, plan.releasing) == (("n2",), {"n1": "ns/b"})
    assert plan.selected == 2


def test_a_node_of_an_earlier_pool_of_the_same_name_is_waited_for() -> None:
    plan = plan_enrolment(claim(uid="new"), [], [node(enrolled="ns/a")])
    assert (plan.enrol, plan.releasing) == ((), {"n1": "ns/a"})


def test_a_node_whose_own_compute_node_is_there_is_taken_up_again() -> None:
    assert plan_enrolment(claim(), [], [node(enrolled="ns/a")]).enrol == ("n1",)


POOLS = ("ns/a", "ns/b", "ns/c")
FLEETS = st.lists(
    st.builds(
        Candidate,
        name=st.sampled_from([f"n{i}" for i in range(8)]),
        labels=st.dictionaries(
            st.sampled_from(["x", "y", "z"]), st.sampled_from(["1", "2"]), max_size=3
        ),
        claimed=st.sampled_from(["", "ns.a", "ns.b", "ns.c", "ns.gone"]),
        ready=st.booleans(),
    ),
    max_size=8,
    unique_by=lambda candidate: candidate.name,
)
CLAIMS = st.tuples(
    *(
        st.builds(
            Claim,
            name=st.just(name),
            label=st.just(name.replace("/", ".")),
            uid=st.just(name),
            selector=st.dictionaries(
                st.sampled_from(["x", "y", "z"]), st.sampled_from(["1", "2"]), min_size=1
            ),
            created=st.sampled_from(["1", "2"]),
            deleting=st.booleans(),
        )
        for name in POOLS
    )
)


@given(CLAIMS, FLEETS)
def test_no_node_is_taken_by_two_pools(claims: tuple[Claim, ...], fleet: list[Candidate]) -> None:
    taken: list[str] = []
    for pool in claims:
        others = [other for other in claims if other is not pool]
        plan = plan_enrolment(pool, others, fleet)
        taken += [*plan.enrol, *plan.members, *plan.leaving]
    assert len(taken) == len(set(taken))


@given(CLAIMS, FLEETS)
def test_every_node_that_is_ready_and_selected_by_a_living_pool_has_or_gets_one(
    claims: tuple[Claim, ...], fleet: list[Candidate]
) -> None:
    plans = [
        plan_enrolment(pool, [other for other in claims if other is not pool], fleet)
        for pool in claims
    ]
    served = {name for plan in plans for name in (*plan.enrol, *plan.members, *plan.leaving)}
    for candidate in fleet:
        if candidate.ready and any(p.selects(candidate) and not p.deleting for p in claims):
            assert candidate.name in served
