"""What the local broker says of itself and its queues, asked by one call that takes milliseconds.

erl_call is a C program that speaks Erlang's distribution: 20 ms, where rabbitmqctl starts a whole
virtual machine for 0.6 s of CPU. Its own name is fixed, since every name stays in the broker's
memory; it takes the cookie from HOME. Nothing that is asked waits for another node: one that is
frozen would hold up the answers of all.
"""

import base64
import binascii
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from stackroles.agents import wire
from stackroles.agents.broker.protocol import VhostQueues

_CALL_SECONDS: Final = 5
# Names of a list that a report holds, and virtual hosts.
_NAMES: Final = 5
_VHOSTS: Final = 16

# Functions of RabbitMQ 4.0.5. A queue's Raft state is looked up in Ra's own table, as
# rabbit_quorum_queue:i(local_state, Q) does; which nodes run is what the node monitor wrote down.
# The answer goes as base64, since erl_call prints only plain letters as a string.
_QUESTION: Final = """
Look = fun() ->
  Members = rabbit_nodes:list_members(),
  {_, _, Seen} = rabbit_node_monitor:read_cluster_status(),
  Running = [N || N <- Members, N =:= node() orelse lists:member(N, nodes()),
             lists:member(N, Seen)],
  Text = fun(B) ->
    case unicode:characters_to_binary(B) of T when is_binary(T) -> T; _ -> <<"?">> end end,
  Add = fun(false, _, Found) -> Found;
           (true, Name, {Count, Names}) when Count < NAMES -> {Count + 1, [Text(Name) | Names]};
           (true, _, {Count, Names}) -> {Count + 1, Names} end,
  Queue = fun(Q, {Vhosts, Here, Held}) ->
    {resource, Vhost, queue, Name} = amqqueue:get_name(Q),
    Nodes = maps:get(nodes, amqqueue:get_type_state(Q), []),
    Raft = case amqqueue:get_pid(Q) of {Registered, _} -> Registered; _ -> none end,
    Online = length([N || N <- Nodes, lists:member(N, Running)]),
    Voting = lists:member(ets:lookup_element(ra_state, Raft, 2, none), [candidate, pre_vote]),
    Silent = Nodes =/= [] andalso (2 * Online =< length(Nodes) orelse Voting),
    Small = Nodes =/= [] andalso Members -- Nodes =/= [],
    {Total, Smalls, Silents} = maps:get(Vhost, Vhosts, {0, {0, []}, {0, []}}),
    {Vhosts#{Vhost => {Total + 1, Add(Small, Name, Smalls), Add(Silent, Name, Silents)}},
     case Small andalso not Silent andalso not lists:member(node(), Nodes) of
       true -> Here + 1; false -> Here end,
     case lists:member(node(), Nodes) of true -> Held + 1; false -> Held end}
  end,
  {Vhosts, Lacks, Holds} = lists:foldl(Queue, {#{}, 0, 0},
    rabbit_amqqueue:list_by_type(rabbit_quorum_queue) ++
    rabbit_amqqueue:list_by_type(rabbit_stream_queue)),
  {Sum, Most, {resource, BigVhost, _, Big}} = ets:foldl(
    fun({Name, _, _, M, _}, {S, Max, _}) when M > Max -> {S + M, M, Name};
       ({_, _, _, M, _}, {S, Max, Kept}) -> {S + M, Max, Kept} end,
    {0, 0, {resource, <<>>, queue, <<>>}}, queue_coarse_metrics),
  Number = fun(I) when is_integer(I) -> I; (_) -> -1 end,
  Leaders = [amqqueue:get_pid(Q) || Q <- rabbit_amqqueue:list_by_type(rabbit_quorum_queue)],
  #{members => Members, running => Running,
    partitions => rabbit_node_monitor:partitions(),
    alarms => lists:usort([case A of {{resource_limit, What, _}, _} -> What; {What, _} -> What;
                           What -> What end || A <- rabbit_alarm:get_local_alarms()]),
    disk_free => Number(rabbit_disk_monitor:get_disk_free()),
    disk_limit => Number(rabbit_disk_monitor:get_disk_free_limit()),
    queues => maps:from_list([{Text(V), #{total => T, small => S, smallNames => Ss,
                                          silent => M, silentNames => Ms}}
                              || {V, {T, {S, Ss}, {M, Ms}}} <- maps:to_list(Vhosts)]),
    leaders => maps:from_list([{N, length([x || {_, L} <- Leaders, L =:= N])} || N <- Members]),
    lacks => Lacks, holds => Holds, messages => Sum,
    largest => case Most of 0 -> <<>>; _ -> iolist_to_binary(
      [Text(Big), <<" in ">>, Text(BigVhost), <<": ">>, integer_to_binary(Most)]) end}
end,
case rabbit:is_running() of
  true -> base64:encode_to_string(iolist_to_binary(json:encode(Look())));
  false -> stopped
end.
""".replace("NAMES", str(_NAMES))

# Both go on after the call, in a process of their own.
_BALANCE: Final = """
spawn(fun() -> rabbit_amqqueue:rebalance(quorum, ".*", ".*") end), ok.
"""
_SPREAD_STREAMS: Final = """
spawn(fun() ->
  [rabbit_stream_queue:add_replica(Vhost, Name, Node)
   || Q <- rabbit_amqqueue:list_by_type(rabbit_stream_queue),
      {resource, Vhost, queue, Name} <- [amqqueue:get_name(Q)],
      Node <- rabbit_nodes:list_members() -- maps:get(nodes, amqqueue:get_type_state(Q), [])]
end), ok.
"""
# From then on nobody publishes; what a client had not acknowledged is in its queue again.
_CUT_OFF: Final = """
Count = fun(Q) ->
  case amqqueue:get_type(Q) of
    rabbit_quorum_queue ->
      {ok, {_, N}, _} =
        ra:leader_query(amqqueue:get_pid(Q), fun rabbit_fifo:query_messages_total/1),
      N;
    rabbit_classic_queue -> [{messages, N}] = rabbit_amqqueue:info(Q, [messages]), N
  end
end,
rabbit_maintenance:suspend_all_client_listeners(),
rabbit_maintenance:close_all_client_connections(),
try lists:sum([Count(Q) || Q <- rabbit_amqqueue:list()]) catch _:_ -> unknown end.
"""
_SHRINK: Final = """
rabbit_quorum_queue:force_all_queues_shrink_member_to_current_member(), ok.
"""
# Not `drain`: it stops the queues' members here, and of two members one is no majority. Marked so,
# the broker gets no member of a queue again (rabbit_maintenance, 4.0.5).
_EMPTY: Final = """
rabbit_maintenance:mark_as_being_drained(),
rabbit_maintenance:suspend_all_client_listeners(),
rabbit_maintenance:close_all_client_connections(),
rabbit_quorum_queue:shrink_all(node()), ok.
"""
_SHRINK_SECONDS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """What a running broker says.

    Attributes:
        members, running, partitions, alarms, disk_free, disk_limit, queues, messages, largest: as
            in BrokerStatus.
        leaders: how many quorum queues are led by each member.
        lacks: how many queues with a majority have no member on this node yet.
        holds: how many queues have a member on this node.
    """

    members: frozenset[str]
    running: frozenset[str] = frozenset()
    partitions: frozenset[str] = frozenset()
    alarms: tuple[str, ...] = ()
    disk_free: int = -1
    disk_limit: int = -1
    queues: Mapping[str, VhostQueues] = field(default_factory=dict)
    leaders: Mapping[str, int] = field(default_factory=dict)
    lacks: int = 0
    holds: int = 0
    messages: int = 0
    largest: str = ""

    def reported(self) -> dict[str, VhostQueues]:
        """Return the queues of a bounded number of virtual hosts, those in most trouble first."""
        order = sorted(
            self.queues, key=lambda v: (-self.queues[v].silent, -self.queues[v].small, v)
        )
        return {vhost: self.queues[vhost] for vhost in order[:_VHOSTS]}

    @property
    def small(self) -> int:
        """How many queues have fewer members than there are brokers."""
        return sum(queues.small for queues in self.queues.values())


def parse_answer(text: str) -> NodeView | None:
    """Return the view in erl_call's answer, None when the broker does not run.

    The answer is an Erlang term: {ok, "BASE64"}.
    """
    match = re.fullmatch(r'\{ok,\s*"([A-Za-z0-9+/=]*)"\}\s*', text.strip())
    if match is None:
        return None
    try:
        return wire.loads(NodeView, base64.b64decode(match[1]))
    except (binascii.Error, wire.WireError):
        return None


def ask_broker(node: str) -> NodeView | None:
    """Return what the local broker says, None when it does not run or does not answer."""
    return parse_answer(call(node, _QUESTION))


def responds(node: str) -> bool:
    """Return whether the local broker's process answers, also where the broker does not run."""
    return bool(call(node, "ok."))


def balance(node: str) -> None:
    """Have the leaders of quorum queues spread over the members."""
    call(node, _BALANCE)


def spread_streams(node: str) -> None:
    """Have every stream get a replica on every member.

    Quorum queues get theirs by the broker itself (continuous membership reconciliation).
    """
    call(node, _SPREAD_STREAMS)


def cut_off(node: str) -> int | None:
    """Part all clients from the local broker; return the messages in its queues then.

    None where that is not known: a queue has no leader, or is a stream.
    """
    match = re.fullmatch(r"\{ok,\s*(\d+)\}\s*", call(node, _CUT_OFF).strip())
    return int(match[1]) if match else None


def shrink_queues(node: str) -> bool:
    """Have all quorum queues go on with their members on this node alone; return whether they do.

    This is what RabbitMQ offers for a majority that is lost for good.
    """
    return call(node, _SHRINK, _SHRINK_SECONDS).strip() == "{ok, ok}"


def empty_queues(node: str) -> None:
    """Part all clients from the local broker, and take it out of all quorum queues; repeatable."""
    call(node, _EMPTY, _SHRINK_SECONDS)


def call(node: str, expression: str, seconds: int = _CALL_SECONDS) -> str:
    """Return what erl_call prints for an expression that a node evaluates; empty without answer."""
    command = ["erl_call", "-timeout", str(seconds), "-h", "agent", "-name", node, "-e"]
    try:
        asked = subprocess.run(
            command,
            input=expression.encode(),
            capture_output=True,
            timeout=seconds + 3,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return ""
    return asked.stdout.decode(errors="replace")
