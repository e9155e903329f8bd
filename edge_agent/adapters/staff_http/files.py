"""Styles and scripts of the pages, from memory; their address changes with their content."""

from importlib import resources

from aiohttp import web

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FOREVER = "public, max-age=31536000, immutable"


def add_files(app: web.Application) -> None:
    files = _load()

    async def give(request: web.Request) -> web.StreamResponse:
        found = files.get(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound
        body, content_type = found
        return web.Response(
            body=body, content_type=content_type, charset="utf-8", headers={"Cache-Control": _FOREVER}
        )

    app.router.add_get("/assets/{mark}/{name}", give)


def _load() -> dict[str, tuple[bytes, str]]:
    folder = resources.files("edge_agent") / "web" / "staff"
    return {
        file.name: (file.read_bytes(), content_type)
        for file in folder.iterdir()
        for ending, content_type in _TYPES.items()
        if file.name.endswith(ending)
    }
