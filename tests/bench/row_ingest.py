"""The peer of `ingest`: events as JSON rows, validated by pydantic, kept by INSERT ... ON CONFLICT DO NOTHING.

Runs as a program. It has our own server, TLS, signatures, group commit and columns of money, so that only the way in
differs: where HQ has marks, its rows have a key. It chains nothing and adds nothing up, and its bodies are not packed: all that it is spared. One call of
pydantic reads a whole body, which is the fastest way there is.
"""

import argparse
import asyncio
import sqlite3
from pathlib import Path
from zoneinfo import ZoneInfo

import aiosqlite
import uvloop
from aiohttp import web
from pydantic import TypeAdapter

from cloud_api.adapters.http.app import serving
from cloud_api.adapters.sqlite.file import WRITER_PRAGMAS, prepare
from cloud_api.adapters.sqlite.writer import GroupConnection, Writer
from cloud_api.adapters.tls import load_server_tls
from engagement.ids import AgentName
from engagement.journal.event import AnyEvent, CouponIssued, CouponRedeemed, OrderRecorded, RedemptionUndone
from engagement.line.signature import verify_request
from engagement.settlement.funnel import Days
from tests.fakes.hq import public_key

Rows = list[tuple[int, AnyEvent]]
_ROWS: TypeAdapter[Rows] = TypeAdapter(Rows)
_BODY_BYTES_MAX = 2**20
_ZONE = ZoneInfo("Asia/Shanghai")
# In the place of HQ's own table, which has no key for a conflict.
_SCHEMA = """
DROP TABLE money;
CREATE TABLE money (lane_id INTEGER NOT NULL, seq INTEGER NOT NULL, agent_id INTEGER NOT NULL, branch TEXT NOT NULL,
    what TEXT NOT NULL, at_ms INTEGER NOT NULL, day TEXT NOT NULL, campaign TEXT, coupon TEXT,
    amount_minor INTEGER NOT NULL, basket_minor INTEGER NOT NULL, currency TEXT, edition INTEGER, not_after_ms INTEGER,
    order_id TEXT, redemption TEXT, till TEXT, by_whom TEXT, PRIMARY KEY (lane_id, seq)) WITHOUT ROWID;
CREATE INDEX money_coupon ON money (agent_id, coupon) WHERE coupon IS NOT NULL;
CREATE TABLE engagement (lane_id INTEGER NOT NULL, seq INTEGER NOT NULL, what TEXT NOT NULL, at_ms INTEGER NOT NULL,
    day TEXT NOT NULL, who TEXT, campaign TEXT, number REAL, flag INTEGER, detail TEXT,
    PRIMARY KEY (lane_id, seq)) WITHOUT ROWID;
"""
_MONEY = (
    "INSERT INTO money (lane_id, agent_id, branch, seq, what, at_ms, day, campaign, coupon, amount_minor, basket_minor,"
    f" currency, edition, not_after_ms, order_id, redemption, till, by_whom) VALUES ({', '.join('?' * 18)})"
    " ON CONFLICT DO NOTHING"
)
_ENGAGEMENT = f"INSERT INTO engagement VALUES ({', '.join('?' * 10)}) ON CONFLICT DO NOTHING"


def _money_row(seq: int, event: AnyEvent, day: str) -> tuple[object, ...]:
    start = (seq, event.what, event.moment.wall_ms, day)
    match event:
        case CouponIssued():
            return (
                *(
                    *start,
                    event.campaign,
                    event.coupon,
                    event.liability_minor,
                    0,
                    event.currency,
                    event.edition,
                ),
                *(event.not_after_ms, None, None, None, None),
            )
        case CouponRedeemed():
            return (
                *(
                    *start,
                    event.campaign,
                    event.coupon,
                    event.discount_minor,
                    event.basket_minor,
                    event.currency,
                ),
                *(None, None, event.order, event.redemption, event.till, event.cashier),
            )
        case RedemptionUndone():
            return (
                *(*start, event.campaign, event.coupon, event.discount_minor, 0, event.currency, None, None),
                *(None, event.redemption, event.till, event.cashier),
            )
        case OrderRecorded():
            return (
                *(*start, None, None, event.discount_minor, event.basket_minor, event.currency, None, None),
                *(event.order, None, event.till, event.cashier),
            )
        case _:
            return (*start, None, None, 0, 0, *[None] * 7)


def _engagement_row(seq: int, event: AnyEvent, day: str) -> tuple[object, ...]:
    fields = event.__dict__
    return (
        *(seq, event.what, event.moment.wall_ms, day),
        fields.get("visitor") or fields.get("subject") or fields.get("beacon") or fields.get("till"),
        fields.get("campaign"),
        fields.get("play", fields.get("dwell_s")),
        fields.get("won", fields.get("analytics")),
        fields.get("zone") or fields.get("reason") or fields.get("language"),
    )


def _app(writer: Writer) -> web.Application:
    lanes: dict[tuple[str, str, str], int] = {}
    agents: dict[str, int] = {}

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        target = f"{request.scheme}://{request.host}{request.raw_path}"
        agent = verify_request(
            request.method,
            target,
            request.headers,
            body,
            public_key_of=lambda name: public_key(AgentName(name)),
        )
        rows, days, given = _ROWS.validate_json(body), Days(_ZONE), request.match_info
        lane_id = lanes.setdefault((agent, given["lane"], given["epoch"]), len(lanes))
        start: tuple[object, ...]
        if given["lane"] == "money":
            sql, start, row_of = _MONEY, (lane_id, agents.setdefault(agent, len(agents)), agent), _money_row
        else:
            sql, start, row_of = _ENGAGEMENT, (lane_id,), _engagement_row
        values = [(*start, *row_of(seq, event, days.of(event.moment.wall_ms))) for seq, event in rows]

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany(sql, values)

        await writer.write(work)
        return web.json_response({"ack": rows[-1][0]})

    app = web.Application(client_max_size=_BODY_BYTES_MAX)
    app.router.add_post("/{lane}/{epoch}", take)
    return app


async def _run(args: argparse.Namespace) -> None:
    prepare(args.database, now_ms=0)
    made: list[GroupConnection] = []

    def connect(*values: object, **options: object) -> GroupConnection:
        made.append(GroupConnection(*values, **options))
        return made[-1]

    async with aiosqlite.connect(args.database, isolation_level=None, factory=connect) as connection:
        for pragma in WRITER_PRAGMAS:
            await connection.execute(pragma)
        await connection.executescript(_SCHEMA)
        writer = Writer(connection, made[0])
        tls = load_server_tls(args.certificate, args.key)
        async with (
            asyncio.TaskGroup() as group,
            serving(_app(writer), address="127.0.0.1", port=args.port, tls=tls.context),
        ):
            group.create_task(writer.run())
            await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--database", type=Path, required=True)
    parser.add_argument("--certificate", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    uvloop.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
