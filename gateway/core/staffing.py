# SPDX-License-Identifier: GPL-2.0-or-later
"""Who of a queue's agents can take a caller, and how long they would wait for one.

The wait is that of a caller who finds a queue as it is now. While everybody works, the agents together complete
`agents / handling time` calls a second, and the caller is served after those ahead of them and one more, so it is

    (callers ahead + 1) × mean handling time / agents

with a handling time of talk and wrap-up. This is the queue-length estimator of W. Whitt, "Predicting Queueing Delays"
(Management Science 45(6), 1999): exact for Erlang's M/M/c queue, given its state, where Erlang C tells only the mean
over all states. With an agent free for everybody it is 0; where no call was completed yet, or nobody works, it is
unknown, which is None and never 0.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from gateway.core.model import Agent, QueueState


def expected_wait_s(available: int, working: int, ahead: int, handling_s: float | None) -> float | None:
    """How long one more caller waits; None: unknown.

    `available` agents are free, `working` are logged in and not paused (the free ones included). `ahead` callers wait
    and nobody's phone rings for them yet.
    """
    if available > ahead:
        return 0.0
    if working <= 0 or handling_s is None or handling_s <= 0:
        return None
    return (ahead - available + 1) * handling_s / working


def wait_of_last_s(queue: QueueState) -> float | None:
    """How long the last of a queue's callers still waits, who is one of those that one more would wait behind."""
    if queue.expected_wait_s is None or queue.expected_wait_s <= 0:
        return queue.expected_wait_s
    turns = queue.ahead - queue.available + 1  # of one more
    return queue.expected_wait_s * (turns - 1) / turns


def seen_by_caller(queue: QueueState, max_penalty: int | None, wrap_up: timedelta, now: datetime) -> QueueState:
    """The queue with those agents alone that would be called for a caller, by their penalty and their wrap-up.

    As Asterisk's Queue() sees it with QUEUE_MAX_PENALTY set, and with `wrap_up` as its `wrapuptime`: an agent's own
    wrap-up counts before the queue's.
    """
    agents = [agent for agent in queue.agents if max_penalty is None or agent.penalty <= max_penalty]
    if len(agents) == len(queue.agents) and not wrap_up and not any(agent.wrap_up for agent in agents):
        return queue
    available = sum(agent.idle and not agent.paused and not _in_wrap_up(agent, wrap_up, now) for agent in agents)
    paused = sum(agent.paused for agent in agents)
    working = len(agents) - paused
    handling_s = None if queue.mean_talk_s is None else queue.mean_talk_s + wrap_up.total_seconds()
    return replace(
        queue,
        logged_in=len(agents),
        available=available,
        paused=paused,
        busy=working - available,
        agents=tuple(agents),
        expected_wait_s=expected_wait_s(available, working, queue.ahead, handling_s),
    )


def _in_wrap_up(agent: Agent, wrap_up: timedelta, now: datetime) -> bool:
    # Of a call that ends further ahead than that, a PBX's clock is wrong: its agent would never be free again.
    return agent.last_call is not None and abs(now - agent.last_call) < (agent.wrap_up or wrap_up)
