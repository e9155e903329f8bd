"""Phones that join a store's Wi-Fi: each has its own 127.x.y.z, asks its probe, follows it and reads the page.

Runs as a program of its own, so that its work is not the server's: prints one JSON object with the durations.
"""

import argparse
import asyncio
import json
import ssl
import time
from urllib.parse import urlsplit

import uvloop

from tests.bench.rig import trusting

_JOIN_S_MAX = 60.0


def phone_address(number: int) -> str:
    """A distinct loopback address per phone."""
    return f"127.{10 + number // 62_500}.{number // 250 % 250}.{1 + number % 250}"


async def _get(
    host: str, port: int, path: str, source: str, tls: ssl.SSLContext | None, name: str
) -> tuple[bytes, bytes]:
    """Headers and body of one GET over a connection of its own."""
    reader, writer = await asyncio.open_connection(host, port, ssl=tls, local_addr=(source, 0))
    try:
        request = f"GET {path} HTTP/1.1\r\nHost: {name}\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"
        writer.write(request.encode())
        answer = await reader.read(-1)
    finally:
        writer.close()
    headers, _, body = answer.partition(b"\r\n\r\n")
    return headers, body


async def _join(number: int, http_port: int, tls: ssl.SSLContext) -> tuple[float, int]:
    """Seconds from the probe to the whole page, and the page's bytes on the wire."""
    began, source = time.perf_counter(), phone_address(number)
    headers, _ = await _get("127.0.0.1", http_port, "/hotspot-detect.html", source, None, "captive.apple.com")
    location = next(
        line.split(b": ", 1)[1].decode()
        for line in headers.split(b"\r\n")
        if line.lower().startswith(b"location: ")
    )
    url = urlsplit(location)
    assert url.port is not None
    path = url.path + (f"?{url.query}" if url.query else "") or "/"
    headers, body = await _get("127.0.0.1", url.port, path, source, tls, url.netloc)
    if b" 200 " not in headers.split(b"\r\n", 1)[0]:
        raise ValueError(f"the page was answered {headers[:40]!r}")
    return time.perf_counter() - began, len(body)


async def _crowd(count: int, first: int, http_port: int) -> dict[str, object]:
    tls = trusting()
    async with asyncio.timeout(_JOIN_S_MAX):
        joins = [_join(first + index, http_port, tls) for index in range(count)]
        outcomes = await asyncio.gather(*joins, return_exceptions=True)
    served = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    return {
        "durations_s": [duration_s for duration_s, _ in served],
        "page_bytes": served[0][1] if served else 0,
        "failures": len(outcomes) - len(served),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--http-port", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--first", type=int, default=0)
    args = parser.parse_args()
    print(json.dumps(uvloop.run(_crowd(args.count, args.first, args.http_port))))


if __name__ == "__main__":
    main()
