"""Load on the ledger over HTTP: 20 clients issue or redeem for a while. Runs as a program; prints one JSON object."""

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable

import aiohttp
import uvloop

from tests.bench.phones import phone_address
from tests.bench.rig import trusting

CLIENTS = 20


async def _issue(url: str, source: str) -> str:
    """A new phone consents; the code of its welcome coupon."""
    connector = aiohttp.TCPConnector(ssl=trusting(), local_addr=(source, 0), force_close=True)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as phone:
        async with phone.post(f"{url}/api/consent", json={"terms": True}) as answer:
            answer.raise_for_status()
        async with phone.get(f"{url}/api/wallet") as answer:
            wallet = await answer.json()
    code: str = wallet["coupons"][0]["code"]
    return code


async def _consent_until(url: str, first: int, seconds: float) -> int:
    """How many phones got their coupon within the time; each from its own address, over its own connection."""
    done, number = 0, first
    end = time.perf_counter() + seconds

    async def client() -> None:
        nonlocal done, number
        while time.perf_counter() < end:
            number += 1
            connector = aiohttp.TCPConnector(ssl=trusting(), local_addr=(phone_address(number), 0))
            async with (
                aiohttp.ClientSession(connector=connector) as phone,
                phone.post(f"{url}/api/consent", json={"terms": True}) as answer,
            ):
                answer.raise_for_status()
            done += 1

    await _together(client)
    return done


async def _redeem_until(url: str, codes: list[str], token: str, seconds: float) -> int:
    """How many coupons were redeemed within the time, each on an order of its own."""
    left, done = iter(enumerate(codes)), 0
    end = time.perf_counter() + seconds
    headers = {"Authorization": f"Bearer {token}"}
    connector = aiohttp.TCPConnector(ssl=trusting(), limit=CLIENTS)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as tills:

        async def client() -> None:
            nonlocal done
            for number, code in left:
                if time.perf_counter() > end:
                    return
                attempt = {
                    "request_id": f"q{number}",
                    "code": code,
                    "order_id": f"o{number}",
                    "basket_minor": 10_000,
                    "currency": "CNY",
                    "cashier": "bench",
                }
                async with tills.post(f"{url}/v1/redemptions", json=attempt) as answer:
                    verdict = await answer.json()
                if verdict["decision"] != "accepted":
                    raise RuntimeError(f"redemption {number} was answered {verdict}")
                done += 1

        await _together(client)
    return done


async def _together(client: Callable[[], Awaitable[None]]) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(client())  # type: ignore[arg-type]  # a coroutine function, always


async def _collect(url: str, first: int, count: int) -> list[str]:
    codes: list[str] = []
    numbers = iter(range(first, first + count))

    async def client() -> None:
        for number in numbers:
            codes.append(await _issue(url, phone_address(number)))

    await _together(client)
    return codes


async def _run(args: argparse.Namespace) -> dict[str, object]:
    if args.work == "collect":
        return {"codes": await _collect(args.guest_url, args.first, args.count)}
    began = time.perf_counter()
    if args.work == "issue":
        done = await _consent_until(args.guest_url, args.first, args.seconds)
    else:
        codes = json.loads(args.codes.read())
        done = await _redeem_until(args.staff_url, codes, args.token_file.read().strip(), args.seconds)
    return {"per_s": done / (time.perf_counter() - began), "done": done}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", choices=("collect", "issue", "redeem"))
    parser.add_argument("--guest-url")
    parser.add_argument("--staff-url")
    parser.add_argument("--token-file", type=argparse.FileType())
    parser.add_argument("--codes", type=argparse.FileType())
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=4.0)
    print(json.dumps(uvloop.run(_run(parser.parse_args()))))


if __name__ == "__main__":
    main()
