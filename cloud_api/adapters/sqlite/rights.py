"""HQ's books of leases on SQLite: one ledger file's rows are read, ruled on and written in one transaction."""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any, TypeVar

from cloud_api.adapters.sqlite.reading import Reader
from cloud_api.adapters.sqlite.writer import Writer
from cloud_api.ports.rights import AgentBooks, CampaignBooks, Expected, Fence, Lease, LeaseKey, M
from engagement.ids import AgentName, CampaignId
from engagement.journal.tip import Epoch
from engagement.rights.account import Account, Books, LeaseDesk
from engagement.rights.amount import AMOUNT_MAX, NOTHING, Amount

V = TypeVar("V", Account, Amount)
_FENCE = "SELECT incarnation, is_fenced FROM lease_fence"
_HEARD = "SELECT agent, heard_in FROM lease_agents"
_TOTALS = "granted_units, granted_minor, returned_units, returned_minor, used_units, used_minor"
_POOL = "SELECT units, minor FROM lease_pools WHERE campaign = ?"
# With the pool beside each: read apart, a grant in between would make books that do not add up.
_LEASES = (
    f"SELECT agent, epoch, {_TOTALS}, is_written_off, coalesce(units, 0), coalesce(minor, 0)"  # noqa: S608
    " FROM lease_accounts JOIN lease_desks USING (agent, epoch) LEFT JOIN lease_pools USING (campaign) WHERE campaign = ?"
)
_LEASES_OF = (
    f"SELECT campaign, epoch, {_TOTALS}, is_written_off FROM lease_accounts JOIN lease_desks USING (agent, epoch)"  # noqa: S608
    " WHERE agent = ?"
)
_HOLDERS = (
    "SELECT DISTINCT agent FROM lease_accounts JOIN lease_desks USING (agent, epoch) WHERE NOT is_written_off"
    " AND (granted_units - returned_units > used_units OR granted_minor - returned_minor > used_minor)"
)
_ISSUED_BY = (
    "SELECT campaign, lanes.epoch, units, minor FROM lane_issues JOIN lanes ON lanes.id = lane_issues.lane_id"
    " JOIN agents ON agents.id = lanes.agent_id WHERE agents.name = ?"
)
_ISSUED = (
    "SELECT agents.name, lanes.epoch, units, minor FROM lane_issues JOIN lanes ON lanes.id = lane_issues.lane_id"
    " JOIN agents ON agents.id = lanes.agent_id WHERE campaign = ?"
)


class SqliteRights:
    """A RightsStore in HQ's own database file."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def move(
        self, key: LeaseKey, campaigns: Set[CampaignId], rule: Callable[[Books], M], *, expected: Expected
    ) -> M:
        def work(connection: sqlite3.Connection) -> M:
            before = _books(connection, key, campaigns, expected)
            moved = rule(before)
            if moved.books != before:
                _keep(connection, key, before, moved.books)
            return moved

        return await self._writer.write(work)

    async def give_up(self, agent: AgentName, *, expected: Expected) -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE lease_desks SET is_written_off = 1 WHERE agent = ?", (agent,))
            incarnation, is_fenced = connection.execute(_FENCE).fetchone()
            _put_agent(connection, agent, incarnation, is_given_up=True)
            if is_fenced:
                _set_fence(connection, incarnation, is_fenced=bool(_awaited(connection, expected)))

        await self._writer.write(work)

    async def fence(self, *, expected: Expected) -> Fence:
        incarnation, is_fenced = (await self._reader.all(_FENCE))[0]
        heard = await self._reader.all(_HEARD) if is_fenced else ()
        return Fence(incarnation, _waiting(incarnation, heard, expected) if is_fenced else frozenset())

    async def campaign_books(self, campaign: CampaignId) -> CampaignBooks:
        issued = {
            LeaseKey(AgentName(agent), Epoch(epoch)): _issued(units, minor)
            for agent, epoch, units, minor in await self._reader.all(_ISSUED, campaign)
        }
        leases = await self._reader.all(_LEASES, campaign)
        held = {
            LeaseKey(AgentName(agent), Epoch(epoch)): (_account(totals), bool(is_written_off))
            for agent, epoch, *totals, is_written_off, _, _ in leases
        }
        return CampaignBooks(
            Amount(units=leases[0][-2], minor=leases[0][-1]) if leases else NOTHING,
            [
                Lease(key, *held.get(key, (Account(), False)), issued.get(key, NOTHING))
                for key in sorted({*held, *issued})
            ],
        )

    async def agent_books(self, agent: AgentName) -> AgentBooks:
        known = await self._reader.all("SELECT is_given_up FROM lease_agents WHERE agent = ?", agent)
        issued = {
            (CampaignId(campaign), LeaseKey(agent, Epoch(epoch))): _issued(units, minor)
            for campaign, epoch, units, minor in await self._reader.all(_ISSUED_BY, agent)
        }
        held = {
            (CampaignId(campaign), LeaseKey(agent, Epoch(epoch))): (_account(totals), bool(is_written_off))
            for campaign, epoch, *totals, is_written_off in await self._reader.all(_LEASES_OF, agent)
        }
        leases = [
            (of[0], Lease(of[1], *held.get(of, (Account(), False)), issued.get(of, NOTHING)))
            for of in sorted({*held, *issued})
        ]
        return AgentBooks(bool(known and known[0][0]), leases)

    async def leasing_agents(self) -> Set[AgentName]:
        return {AgentName(agent) for agent, _ in await self._reader.all(_HEARD)}

    async def holders(self) -> Set[AgentName]:
        return {AgentName(agent) for (agent,) in await self._reader.all(_HOLDERS)}


def _books(
    connection: sqlite3.Connection, key: LeaseKey, campaigns: Set[CampaignId], expected: Expected
) -> Books:
    incarnation, is_fenced = connection.execute(_FENCE).fetchone()
    agent = connection.execute(
        "SELECT heard_in, is_given_up FROM lease_agents WHERE agent = ?", (key.agent,)
    ).fetchone()
    desk = connection.execute(
        "SELECT number, request_sha256, is_written_off FROM lease_desks WHERE agent = ? AND epoch = ?", key
    ).fetchone()
    accounts = {
        CampaignId(campaign): _account(totals)
        for campaign, *totals in connection.execute(
            f"SELECT campaign, {_TOTALS} FROM lease_accounts WHERE agent = ? AND epoch = ?",  # noqa: S608
            key,
        )
    }
    pools = {each: connection.execute(_POOL, (each,)).fetchone() for each in campaigns | set(accounts)}
    return Books(
        incarnation=incarnation,
        awaited=_awaited(connection, expected) if is_fenced else frozenset(),
        is_heard=agent is not None and agent[0] == incarnation,
        desk=LeaseDesk(desk[0], desk[1], bool(desk[2])) if desk else LeaseDesk(),
        accounts=accounts,
        outstanding={each: Amount(units=pool[0], minor=pool[1]) for each, pool in pools.items() if pool},
        is_given_up=agent is not None and bool(agent[1]),
    )


def _keep(connection: sqlite3.Connection, key: LeaseKey, before: Books, after: Books) -> None:
    # Also when nobody is left to be waited for because the estate let go of them.
    _set_fence(connection, after.incarnation, is_fenced=bool(after.awaited))
    heard_in = after.incarnation if after.is_heard else ""
    _put_agent(connection, key.agent, heard_in, is_given_up=after.is_given_up)
    if before.desk != after.desk:
        connection.execute(
            "INSERT OR REPLACE INTO lease_desks VALUES (?, ?, ?, ?, ?)",
            (*key, after.desk.number, after.desk.request_sha256, after.desk.is_written_off),
        )
    connection.executemany(
        "INSERT OR REPLACE INTO lease_accounts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(*key, each, *_totals(account)) for each, account in _changed(before.accounts, after.accounts)],
    )
    connection.executemany(
        "INSERT OR REPLACE INTO lease_pools VALUES (?, ?, ?)",
        [(each, sum_.units, sum_.minor) for each, sum_ in _changed(before.outstanding, after.outstanding)],
    )


def _changed(before: Mapping[CampaignId, V], after: Mapping[CampaignId, V]) -> Iterable[tuple[CampaignId, V]]:
    return ((each, value) for each, value in after.items() if before.get(each) != value)


def _put_agent(connection: sqlite3.Connection, agent: AgentName, heard_in: str, *, is_given_up: bool) -> None:
    connection.execute("INSERT OR REPLACE INTO lease_agents VALUES (?, ?, ?)", (agent, heard_in, is_given_up))


def _set_fence(connection: sqlite3.Connection, incarnation: str, *, is_fenced: bool) -> None:
    connection.execute(
        "UPDATE lease_fence SET incarnation = ?1, is_fenced = ?2 WHERE incarnation <> ?1 OR is_fenced <> ?2",
        (incarnation, is_fenced),
    )


def _awaited(connection: sqlite3.Connection, expected: Expected) -> Set[AgentName]:
    incarnation, _ = connection.execute(_FENCE).fetchone()
    return _waiting(incarnation, connection.execute(_HEARD), expected)


def _waiting(incarnation: str, heard: Iterable[Any], expected: Expected) -> Set[AgentName]:
    heard_in = {AgentName(agent): in_which for agent, in_which in heard}
    return {each for each in expected() | set(heard_in) if heard_in.get(each) != incarnation}


def _issued(units: int, minor: int) -> Amount:
    """Each event's money is bounded, their sum is not: no agent's nonsense may hide what others have."""
    return Amount(units=units, minor=min(max(0, minor), AMOUNT_MAX))


def _account(totals: Sequence[int]) -> Account:
    granted, returned, used = (
        Amount(units=totals[at], minor=totals[at + 1]) for at in range(0, len(totals), 2)
    )
    return Account(granted, returned, used)


def _totals(account: Account) -> tuple[int, ...]:
    return tuple(
        number
        for amount in (account.granted, account.returned, account.used)
        for number in (amount.units, amount.minor)
    )
