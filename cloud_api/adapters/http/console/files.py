"""Style and script of the console, from memory; their address changes with their content."""

from hashlib import sha256
from importlib import resources

from aiohttp import web

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FOREVER = "public, max-age=31536000, immutable"


def _load() -> dict[str, tuple[bytes, str]]:
    folder = resources.files("cloud_api") / "web" / "console"
    return {
        file.name: (file.read_bytes(), content_type)
        for file in sorted(folder.iterdir(), key=lambda each: each.name)
        for ending, content_type in _TYPES.items()
        if file.name.endswith(ending)
    }


_FILES = _load()
ASSET_MARK = sha256(b"".join(body for body, _ in _FILES.values())).hexdigest()[:12]


def add_files(app: web.Application) -> None:
    app.router.add_get("/assets/{mark}/{name}", _give)


async def _give(request: web.Request) -> web.StreamResponse:
    found = _FILES.get(request.match_info["name"])
    if found is None:
        raise web.HTTPNotFound
    body, content_type = found
    return web.Response(
        body=body, content_type=content_type, charset="utf-8", headers={"Cache-Control": _FOREVER}
    )
