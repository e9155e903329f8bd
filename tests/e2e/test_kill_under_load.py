"""`kill -9` of a real agent again and again while eight phones and two tills never stop asking.

In the end the ledger and what was told agree: every coupon that was shown is known, every acceptance that was told
stands in it, and it holds no redemption that nobody was told of.
"""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from tests.e2e.shopping import sheet_counts
from tests.eventually import eventually
from tests.fakes.agent_process import AgentProcess, agent_on, lay_agent_home
from tests.fakes.callers import PATIENCE_S, Caller, Callers, callers, coupon_path

SHOPPERS = 8
TILLS = ("till-1", "till-2")
KILLS = 5
# So many answers between two kills at least and at most: a kill finds everybody in the middle of something.
_ANSWERS_BETWEEN = (40, 120)


@dataclass
class Crowd:
    """``shown``: by coupon id. ``accepted`` and ``undone``: coupon id and discount by redemption id."""

    callers: Callers
    random: Random
    shown: dict[str, dict[str, Any]] = field(default_factory=dict)
    phones: dict[str, list[str]] = field(default_factory=dict)
    accepted: dict[str, tuple[str, int]] = field(default_factory=dict)
    undone: dict[str, tuple[str, int]] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    answers: int = 0
    is_over: bool = False
    codes: "asyncio.Queue[str]" = field(default_factory=asyncio.Queue)

    async def shop(self, shopper: int) -> None:
        """One shopper after the other at one place of the queue, each with a phone of their own."""
        for turn in count():
            if self.is_over:
                return
            address = f"127.41.{shopper}.{turn + 1}"
            async with self.callers.passing_phone(address) as phone:
                await self._visit(phone, address, turn)

    async def _visit(self, phone: Caller, address: str, turn: int) -> None:
        cards = (await self._ask(phone, "POST", "/api/consent", {"terms": True}))["coupons"]
        play = {"campaign": "shake", "nonce": f"{turn:032x}"}
        cards.append((await self._ask(phone, "POST", "/api/play", play))["coupon"])
        self.phones[address] = [card["id"] for card in cards]
        for card in cards:
            self.shown[card["id"]] = card
            # Some show their code at both tills at once.
            for _ in range(self.random.choice((1, 1, 2))):
                self.codes.put_nowait(self.random.choice((card["code"], card["short_code"])))

    async def serve(self, till_name: str, requests: Iterator[int]) -> None:
        till = await self.callers.till(till_name)
        while not (self.is_over and self.codes.empty()):
            try:
                async with asyncio.timeout(0.2):
                    code = await self.codes.get()
            except TimeoutError:
                continue
            await self._redeem(till, code, f"{till_name}-{next(requests)}")

    async def _redeem(self, till: Caller, code: str, request_id: str) -> None:
        who = {"cashier": self.callers.access.cashier}
        body = {
            "request_id": request_id,
            "code": code,
            "order_id": request_id,
            "basket_minor": 10_000,
            "currency": "CNY",
        }
        told = await self._ask(till, "POST", "/v1/redemptions", body | who)
        if told["decision"] == "refused":
            assert told["reason"] == "already_redeemed", told
            self.refused.add(told["coupon"])
            return
        self._keep(self.accepted, told)
        if self.random.random() < 0.2:
            path = f"/v1/redemptions/{told['redemption_id']}/undo"
            told = await self._ask(till, "POST", path, {"request_id": f"undo-{request_id}", **who})
            assert told["decision"] == "undone", told
            self.undone[told["redemption_id"]] = self.accepted[told["redemption_id"]]

    def _keep(self, redemptions: dict[str, tuple[str, int]], told: dict[str, Any]) -> None:
        assert told["redemption_id"] not in redemptions
        redemptions[told["redemption_id"]] = (told["coupon"], told["discount_minor"])

    async def more_answers(self, wanted: int) -> None:
        goal = self.answers + wanted
        await eventually(lambda: self.answers >= goal, PATIENCE_S, f"{wanted} more answers")

    async def _ask(self, caller: Caller, method: str, path: str, body: object) -> Any:
        answer = await caller.ask(method, path, body)
        assert answer.status == 200, answer
        self.answers += 1
        return answer.json


async def test_kills_under_load_leave_the_ledger_and_what_was_told_in_agreement(tmp_path: Path) -> None:
    seed = time.time_ns() % 1_000_000
    print(f"seed {seed}")
    home = lay_agent_home(tmp_path / "home")
    with agent_on(home, is_warm=True) as agent:
        async with callers(home.access) as all_callers:
            crowd = Crowd(all_callers, Random(seed))
            async with asyncio.TaskGroup() as tasks:
                for shopper in range(SHOPPERS):
                    tasks.create_task(crowd.shop(shopper))
                for till in TILLS:
                    tasks.create_task(crowd.serve(till, count()))
                await _kill_again_and_again(agent, crowd)
                crowd.is_over = True
            print(f"{len(crowd.shown)} coupons, {len(crowd.accepted)} redeemed, {len(crowd.undone)} undone")
            assert crowd.refused, "no code was shown at both tills"
            await _check_ledger(crowd)
        assert agent.stop() == 0


async def _kill_again_and_again(agent: AgentProcess, crowd: Crowd) -> None:
    for _ in range(KILLS):
        await crowd.more_answers(crowd.random.randint(*_ANSWERS_BETWEEN))
        agent.kill()
        agent.run()


async def _check_ledger(crowd: Crowd) -> None:
    till = await crowd.callers.till()
    for coupon, card in crowd.shown.items():
        answer = await till.ask("GET", coupon_path(card["code"]))
        assert answer.status == 200, f"a coupon that was shown is not known: {card} {answer}"
        _check_story(crowd, coupon, answer.json)
    for address, ids in crowd.phones.items():
        async with crowd.callers.passing_phone(address) as phone:
            held = (await phone.ask("GET", "/api/wallet")).json["coupons"]
        assert sorted(card["id"] for card in held) == sorted(ids)
        assert all(card["code"] == crowd.shown[card["id"]]["code"] for card in held)
    sheet = await sheet_counts(await crowd.callers.office())
    told = {
        "issued": len(crowd.shown),
        "redeemed": len(crowd.accepted),
        "undone": len(crowd.undone),
        "redeemed_amount": sum(discount_minor for _, discount_minor in crowd.accepted.values()),
        "undone_amount": sum(discount_minor for _, discount_minor in crowd.undone.values()),
    }
    counted = {column: sum(n for (_, of), n in sheet.items() if of == column) for column in told}
    assert counted == told


def _check_story(crowd: Crowd, coupon: str, story: Any) -> None:
    for what, redemptions in (("redeemed", crowd.accepted), ("undone", crowd.undone)):
        told = {redemption for redemption, (of, _) in redemptions.items() if of == coupon}
        lines = [line["redemption_id"] for line in story["timeline"] if line["what"] == what]
        assert sorted(lines) == sorted(told), (what, story)
    standing = {r for r, (of, _) in crowd.accepted.items() if of == coupon and r not in crowd.undone}
    made = story["redemption"]
    assert ({made["redemption_id"]} if made else set()) == standing
