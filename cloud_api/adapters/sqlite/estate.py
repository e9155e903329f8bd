"""The estate as rows: a branch a row, whole and as an outline; a change writes the rows that it changes, and no more."""

import asyncio
import json
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence

from cloud_api.adapters.sqlite.reading import Reader
from cloud_api.adapters.sqlite.writer import Writer
from cloud_api.ports.estate import EstateMoved, EstateStore
from engagement.campaign.model import Campaign
from engagement.estate.branch import Branch
from engagement.estate.bundle import CampaignStop, EnrolledMember
from engagement.estate.estate import Estate, EstateBranch
from engagement.estate.outline import outline_of
from engagement.ids import AgentName, BranchCode, CampaignId, MemberId

# All of one instant: separate queries could see a change between them.
_STATE = (
    "SELECT 'estate', revision, changed, '', '' FROM estate"
    " UNION ALL SELECT * FROM (SELECT 'branch', changed, 0, {column}, '' FROM branches WHERE is_listed ORDER BY code)"
    " UNION ALL SELECT * FROM (SELECT 'campaign', MAX(edition), 0, body, '' FROM campaigns GROUP BY id ORDER BY number)"
    " UNION ALL SELECT * FROM (SELECT 'stop', honour_issued, at_ms, campaign, by_whom FROM stops ORDER BY campaign)"
    " UNION ALL SELECT * FROM (SELECT 'member', 0, 0, id, code_sha256 FROM members ORDER BY id)"
)
_OUTLINES, _BODIES = _STATE.format(column="outline"), _STATE.format(column="body")
_PUT_BRANCH = "REPLACE INTO branches (code, changed, is_listed, outline, body) VALUES (?, ?, 1, ?, ?)"
# Far below SQLite's limit of variables in a statement.
_CODES_AT_ONCE = 500


class SqliteEstate(EstateStore):
    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def outline(self) -> Estate:
        rows = await self._reader.all(_OUTLINES)
        return await asyncio.to_thread(_outlined, rows)  # 0.3 s for 10,000 branches

    async def branches(self, codes: Collection[BranchCode]) -> Sequence[EstateBranch]:
        found: list[EstateBranch] = []
        for some in _chunks(sorted(codes)):
            marks = ", ".join("?" * len(some))
            sql = f"SELECT changed, body FROM branches WHERE is_listed AND code IN ({marks}) ORDER BY code"  # noqa: S608  only marks
            found += [_branch(body, changed) for changed, body in await self._reader.all(sql, *some)]
        return found

    async def former_branches(self) -> Sequence[Branch]:
        rows = await self._reader.all("SELECT outline FROM branches WHERE NOT is_listed ORDER BY code")
        return [_branch(outline, 0).branch for (outline,) in rows]

    async def text(self) -> str:
        """Put together from the rows' own texts: as values, a large chain would take hundreds of MB."""
        rows = _by_kind(await self._reader.all(_BODIES))
        ((revision, changed, _, _),) = rows["estate"]
        branches = (f'{body[:-1]},"changed":{changed}}}' for changed, _, body, _ in rows["branch"])
        stops = [
            {"campaign": campaign, "honour_issued": bool(honour), "by": by, "at_ms": at_ms}
            for honour, at_ms, campaign, by in rows["stop"]
        ]
        members = [{"id": member, "code_sha256": digest} for _, _, member, digest in rows["member"]]
        return (
            f'{{"revision":{revision},"changed":{changed},"branches":[{",".join(branches)}],'
            f'"campaigns":[{",".join(body for _, _, body, _ in rows["campaign"])}],'
            f'"stops":{json.dumps(stops)},"members":{json.dumps(members)}}}'
        )

    async def numbers(self) -> Mapping[AgentName, int]:
        return {
            AgentName(agent): number
            for agent, number in await self._reader.all("SELECT agent, number FROM numbers")
        }

    async def editions(self) -> Sequence[Campaign]:
        rows = await self._reader.all("SELECT body FROM campaigns ORDER BY number, edition")
        return [Campaign.model_validate_json(body) for (body,) in rows]

    async def put(self, before: Estate, after: Estate, *, whole: Collection[BranchCode]) -> None:
        await self._writer.write(lambda connection: _put(connection, before, after, frozenset(whole)))

    async def raise_revision(self, revision: int) -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE estate SET revision = ?1, changed = ?1 WHERE revision < ?1", (revision,)
            )

        await self._writer.write(work)


def _put(connection: sqlite3.Connection, before: Estate, after: Estate, whole: frozenset[BranchCode]) -> None:
    """Errors: EstateMoved."""
    raised = connection.execute(
        "UPDATE estate SET revision = ?, changed = ? WHERE revision = ?",
        (after.revision, after.changed, before.revision),
    )
    if raised.rowcount == 0:
        raise EstateMoved(f"the estate is not at revision {before.revision}")
    old = {each.branch.code: each for each in before.branches}
    new = {each.branch.code: each for each in after.branches}
    risen = [each for each in after.branches if old.get(each.branch.code) is not each]
    connection.executemany(_PUT_BRANCH, (_row(each) for each in risen if each.branch.code in whole))
    connection.executemany(
        "UPDATE branches SET changed = ? WHERE code = ?",
        ((each.changed, each.branch.code) for each in risen if each.branch.code not in whole),
    )
    connection.executemany(
        "UPDATE branches SET is_listed = 0 WHERE code = ?", ((code,) for code in old.keys() - new.keys())
    )
    connection.executemany(
        "INSERT OR IGNORE INTO numbers (agent, number) VALUES (?, ?)",
        ((agent.name, agent.number) for each in risen for agent in each.branch.agents),
    )
    _put_shared(connection, before, after)


def _put_shared(connection: sqlite3.Connection, before: Estate, after: Estate) -> None:
    known = {(campaign.id, campaign.edition) for campaign in before.campaigns}
    connection.executemany(
        "INSERT INTO campaigns (id, edition, number, body) VALUES (?, ?, ?, ?)",
        (
            (campaign.id, campaign.edition, campaign.number, campaign.model_dump_json())
            for campaign in after.campaigns
            if (campaign.id, campaign.edition) not in known
        ),
    )
    connection.executemany(
        "REPLACE INTO stops (campaign, honour_issued, by_whom, at_ms) VALUES (?, ?, ?, ?)",
        ((stop.campaign, stop.honour_issued, stop.by, stop.at_ms) for stop in after.stops),
    )
    if after.members != before.members:
        connection.execute("DELETE FROM members")
        connection.executemany(
            "INSERT INTO members (id, code_sha256) VALUES (?, ?)",
            ((member.id, member.code_sha256) for member in after.members),
        )


def _row(each: EstateBranch) -> tuple[str, int, str, str]:
    return (each.branch.code, each.changed, _body(outline_of(each)), _body(each))


def _body(each: EstateBranch) -> str:
    return each.model_dump_json(exclude={"changed"})


def _outlined(found: Sequence[sqlite3.Row]) -> Estate:
    rows = _by_kind(found)
    ((revision, changed, _, _),) = rows["estate"]
    return Estate(
        revision=revision,
        changed=changed,
        branches=tuple(outline_of(_branch(body, changed)) for changed, _, body, _ in rows["branch"]),
        campaigns=tuple(Campaign.model_validate_json(body) for _, _, body, _ in rows["campaign"]),
        stops=tuple(
            CampaignStop(campaign=CampaignId(campaign), honour_issued=bool(honour), by=by, at_ms=at_ms)
            for honour, at_ms, campaign, by in rows["stop"]
        ),
        members=tuple(
            EnrolledMember(id=MemberId(member), code_sha256=digest) for _, _, member, digest in rows["member"]
        ),
    )


def _branch(body: str, changed: int) -> EstateBranch:
    return EstateBranch.model_validate_json(f'{body[:-1]},"changed":{changed}}}')


def _by_kind(rows: Sequence[sqlite3.Row]) -> dict[str, list[tuple[int, int, str, str]]]:
    kinds: dict[str, list[tuple[int, int, str, str]]] = {
        kind: [] for kind in ("estate", "branch", "campaign", "stop", "member")
    }
    for kind, *values in rows:
        kinds[kind].append((values[0], values[1], values[2], values[3]))
    return kinds


def _chunks(codes: Sequence[BranchCode]) -> Iterator[Sequence[BranchCode]]:
    return (codes[at : at + _CODES_AT_ONCE] for at in range(0, len(codes), _CODES_AT_ONCE))
