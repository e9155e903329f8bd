"""Dead letters as SQL: a page of them, and what becomes of those that were judged again."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from cloud_api.adapters.sqlite.intake import LANE, add_money, add_up
from cloud_api.ports.storage import DeadLetter, KeptLetter, LaneKey, LetterPlace, LettersMoved, Rejudged
from engagement.ids import AgentName, BranchCode
from engagement.journal.event import Lane
from engagement.journal.tip import Epoch

_PAGE = (
    "SELECT lane_id, dead_letters.seq, code, body, dead_letters.branch, agents.name, lane, epoch, dead_letters.received_ms"
    " FROM dead_letters JOIN lanes ON lanes.id = dead_letters.lane_id JOIN agents ON agents.id = lanes.agent_id"
    " WHERE (lane_id, dead_letters.seq) > (?, ?)"
)
_ORDER = " ORDER BY lane_id, dead_letters.seq LIMIT ?"


def page_query(agent: AgentName | None, after: LetterPlace, limit: int) -> tuple[str, tuple[object, ...]]:
    if agent is None:
        return _PAGE + _ORDER, (*after, limit)
    return _PAGE + " AND agents.name = ?" + _ORDER, (*after, agent, limit)


def letters_of(rows: Iterable[Any]) -> list[KeptLetter]:
    """What a page's query found."""
    return [
        KeptLetter(
            place=LetterPlace(lane_id, seq),
            key=LaneKey(AgentName(agent), Lane(lane), Epoch(epoch)),
            branch=BranchCode(branch),
            letter=DeadLetter(seq, code, body),
            received_ms=received_ms,
        )
        for lane_id, seq, code, body, branch, agent, lane, epoch, received_ms in rows
    ]


def rejudge(connection: sqlite3.Connection, rulings: Sequence[Rejudged]) -> None:
    """Errors: LettersMoved."""
    for ruling in rulings:
        key = ruling.key
        lane_id, _, _, agent_id = connection.execute(LANE, (key.lane, key.epoch, key.agent)).fetchone()
        for seq in ruling.used:
            gone = connection.execute(
                "DELETE FROM dead_letters WHERE lane_id = ? AND seq = ?", (lane_id, seq)
            )
            if gone.rowcount == 0:
                raise LettersMoved(f"letter {seq} of {key} is no longer there")
        connection.executemany(
            "UPDATE dead_letters SET code = ? WHERE lane_id = ? AND seq = ?",
            [(code, lane_id, seq) for seq, code in ruling.codes],
        )
        add_money(connection, lane_id, agent_id, ruling.branch, ruling.money)
        add_up(connection, ruling.branch, ruling.counts)
