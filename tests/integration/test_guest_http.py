"""smoke"""

from aiohttp.test_utils import TestClient, TestServer

from tests.fakes.store_front import store_front


async def test_flow():
    async with store_front() as front, TestClient(TestServer(front.apps().https)) as client:
        r = await client.get("/")
        t = await r.text()
        print(r.status, len(t))
        assert r.status == 200, t
        r = await client.post("/consent", data={"terms": "yes"}, allow_redirects=False)
        assert r.status == 303, await r.text()
        for path in ("/", "/wallet", "/terms", "/capport", "/api/wallet"):
            r = await client.get(path)
            t = await r.text()
            print(path, r.status, len(t))
            assert r.status < 500, t
        r = await client.post("/play", data={"campaign": "shake", "pick": "1"})
        print(r.url, r.status)
        assert r.status == 200, await r.text()
