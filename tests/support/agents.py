"""Members' agents that answer without a network."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, fields
from typing import Generic, TypeVar

from typing_extensions import override

from stackroles.reconcile.members import Agent, Report

R = TypeVar("R", bound=Report)
Pull = Callable[[Mapping[str, str]], Awaitable[dict[str, R | None]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweringAgent(Agent[R], Generic[R]):
    """An agent whose answers come from a function."""

    answer: Pull[R]

    @override
    async def pull(self, addresses: Mapping[str, str]) -> dict[str, R | None]:
        """Return the answers by pod name."""
        return await self.answer(addresses)


def answering(agent: Agent[R], answer: Pull[R]) -> AnsweringAgent[R]:
    """Return an agent that is asked as another one, and answers from a function."""
    known = {field.name: getattr(agent, field.name) for field in fields(agent)}
    return AnsweringAgent(**known, answer=answer)
