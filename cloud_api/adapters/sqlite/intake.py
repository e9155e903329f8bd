"""A batch's new entries as SQL. The lane's row is read and raised in the transaction that writes what it stands for."""

import sqlite3
from collections.abc import Iterable
from functools import cache
from itertools import repeat
from typing import Any

from cloud_api.ports.storage import Intake, MarkMoved, MoneyColumns, MoneyLine
from engagement.ids import BranchCode
from engagement.journal.tip import LaneTip
from engagement.settlement.funnel import Counts, Measure, SumKey, Totals

LANE = (
    "SELECT lanes.id, lanes.seq, lanes.head, agents.id FROM agents LEFT JOIN lanes"
    " ON lanes.agent_id = agents.id AND lanes.lane = ? AND lanes.epoch = ? WHERE agents.name = ?"
)
# A branch's own counts stand under no campaign; '' because a primary key holds no NULL.
NO_CAMPAIGN = ""
# A sum rises no further: a branch's real day is far below it, and whatever an agent sends, 30,000 such sums still add up.
_SUM_MAX = 2**48


def keep(connection: sqlite3.Connection, intake: Intake) -> None:
    """Errors: MarkMoved."""
    key = intake.key
    row = connection.execute(LANE, (key.lane, key.epoch, key.agent)).fetchone()
    if row is None:
        raise MarkMoved(f"no agent {key.agent!r}")
    lane_id, seq, head, agent_id = row
    mark = LaneTip() if lane_id is None else LaneTip(seq, head)
    if mark != intake.before:
        raise MarkMoved(f"the mark is {mark.seq}, not {intake.before.seq}")
    lane_id = _raise_mark(connection, intake, lane_id, agent_id)
    connection.execute(
        "INSERT INTO segments (lane_id, first_seq, last_seq, body) VALUES (?, ?, ?, ?)",
        (lane_id, intake.before.seq + 1, intake.after.seq, intake.segment),
    )
    add_money(connection, lane_id, agent_id, intake.branch, intake.money)
    connection.executemany(
        "INSERT INTO dead_letters (lane_id, seq, code, body, received_ms, branch) VALUES (?, ?, ?, ?, ?, ?)",
        [(lane_id, *letter, intake.received_ms, intake.branch) for letter in intake.letters],
    )
    add_up(connection, intake.branch, intake.counts)
    connection.execute("UPDATE agents SET last_contact_ms = ? WHERE id = ?", (intake.received_ms, agent_id))


def _raise_mark(connection: sqlite3.Connection, intake: Intake, lane_id: int | None, agent_id: int) -> int:
    after = intake.after
    if lane_id is not None:
        connection.execute(
            "UPDATE lanes SET seq = ?, head = ?, received_ms = ? WHERE id = ?",
            (after.seq, after.head, intake.received_ms, lane_id),
        )
        return lane_id
    made = connection.execute(
        "INSERT INTO lanes (agent_id, lane, epoch, seq, head, received_ms) VALUES (?, ?, ?, ?, ?, ?) RETURNING id",
        (agent_id, intake.key.lane, intake.key.epoch, after.seq, after.head, intake.received_ms),
    ).fetchone()
    return int(made[0])


def add_money(
    connection: sqlite3.Connection, lane_id: int, agent_id: int, branch: str, money: Iterable[MoneyColumns]
) -> None:
    """Also what the lane says was issued, which the ledger of rights shows beside the leases."""
    issued: dict[str, tuple[int, int]] = {}
    for each in money:
        columns = each.fields.values()
        same = [repeat(value, len(each.fields["seq"])) for value in (lane_id, agent_id, branch, each.what)]
        connection.executemany(_insert_money((*each.fields,)), zip(*same, *columns, strict=True))
        if each.what == "coupon_issued":
            for campaign, minor in zip(each.fields["campaign"], each.fields["amount_minor"], strict=True):
                before = issued.get(campaign, (0, 0))
                issued[campaign] = before[0] + 1, before[1] + minor
    connection.executemany(
        "INSERT INTO lane_issues (campaign, lane_id, units, minor) VALUES (?, ?, ?, ?)"  # noqa: S608  a number of ours
        f" ON CONFLICT DO UPDATE SET units = units + excluded.units, minor = min(minor + excluded.minor, {_SUM_MAX})",
        [(campaign, lane_id, units, min(minor, _SUM_MAX)) for campaign, (units, minor) in issued.items()],
    )


@cache
def _insert_money(fields: tuple[str, ...]) -> str:
    """Of the fields that a kind fills alone: each that is given costs a twentieth of the line, also as NULL.

    There are as many texts as kinds of money events.
    """
    names = ("lane_id", "agent_id", "branch", "what", *fields)
    assert {*fields} <= {*MoneyLine._fields}
    values = ", ".join("?" * len(names))
    return f"INSERT INTO money ({', '.join(names)}) VALUES ({values})"  # noqa: S608  names of our own


def add_up(connection: sqlite3.Connection, branch: str, counts: Counts) -> None:
    """Raise the sums of a branch's days, and mark the tags that came."""
    for (day, campaign, measure), number in counts.sums.items():
        key = (branch, day, campaign or NO_CAMPAIGN, measure)
        raised = connection.execute(
            f"UPDATE rollups SET total = max(-{_SUM_MAX}, min({_SUM_MAX}, total + ?))"  # noqa: S608  a number of ours
            " WHERE branch = ? AND day = ? AND campaign = ? AND measure = ?",
            (number, *key),
        )
        if raised.rowcount == 0:
            connection.execute(
                "INSERT INTO rollups (branch, day, campaign, measure, total) VALUES (?, ?, ?, ?, ?)",
                (*key, max(-_SUM_MAX, min(_SUM_MAX, number))),
            )
    for tag in counts.tags:
        row = (branch, tag.day, tag.stage, tag.beacon)
        known = connection.execute(
            "SELECT 1 FROM tags WHERE branch = ? AND day = ? AND stage = ? AND beacon = ?", row
        ).fetchone()
        if known is None:
            connection.execute("INSERT INTO tags (branch, day, stage, beacon) VALUES (?, ?, ?, ?)", row)


def totals_queries(branch: BranchCode | None) -> tuple[str, str]:
    """Two queries whose values are the first day, the last day, and the branch where one is named."""
    days = "day BETWEEN ? AND ?" + (" AND branch = ?" if branch is not None else "")
    return (
        f"SELECT campaign, measure, SUM(total) FROM rollups WHERE {days} GROUP BY campaign, measure",  # noqa: S608
        f"SELECT stage, COUNT(*) FROM tags WHERE {days} GROUP BY stage",  # noqa: S608  two fixed texts
    )


def totals_of(sums: Iterable[Any], stages: Iterable[Any]) -> Totals:
    """What the two queries found."""
    return Totals(
        {SumKey(campaign or None, Measure(measure)): total for campaign, measure, total in sums},
        dict(map(tuple, stages)),
    )


COUPON_LINES = (
    "SELECT money.seq, what, at_ms, day, campaign, coupon, amount_minor, basket_minor, currency, edition, not_after_ms,"
    " order_id, redemption, till, by_whom FROM money JOIN agents ON agents.id = money.agent_id"
    " WHERE agents.number = ? AND coupon >= ? AND coupon < ? ORDER BY lane_id, money.seq LIMIT ?"
)
