"""The peer of the portal: a bare aiohttp application that redirects, and serves a page of a given size over TLS.

It has uvloop and the same certificate, and does nothing else: what is measured beside it is our own work.
"""

import argparse
import asyncio
import os
import ssl
from pathlib import Path

import uvloop
from aiohttp import web


async def _serve(http_port: int, https_port: int, page_bytes: int, certificate: Path, key: Path) -> None:
    page = os.urandom(page_bytes)

    async def redirect(request: web.Request) -> web.Response:
        raise web.HTTPFound(f"https://127.0.0.1:{https_port}/")

    async def welcome(request: web.Request) -> web.Response:
        return web.Response(body=page, content_type="text/html")

    http, https = web.Application(), web.Application()
    http.router.add_get("/{path:.*}", redirect)
    https.router.add_get("/", welcome)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    for app, port, tls in ((http, http_port, None), (https, https_port, context)):
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls, backlog=4096).start()
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--http-port", type=int, required=True)
    parser.add_argument("--https-port", type=int, required=True)
    parser.add_argument("--page-bytes", type=int, required=True)
    parser.add_argument("--certificate", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    args = parser.parse_args()
    uvloop.run(_serve(args.http_port, args.https_port, args.page_bytes, args.certificate, args.key))


if __name__ == "__main__":
    main()
