"""Three shoppers and a cashier go through everything a store does, step by step, and remember all they were told.

Ids and nonces are fixed, so that every step may be asked for again. Anna is known by her phone's address, Bert by
his cookie from another address, Cleo is a member, which her cookie proves.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from tests.fakes.callers import Answer, Caller, Callers, Office, coupon_path

_ZONE = ZoneInfo("Asia/Shanghai")
_ADDRESSES = {
    "anna": "127.31.0.1",
    "bert": "127.31.0.2",
    "bert with his cookie": "127.31.9.2",
    "cleo": "127.31.0.3",
}
_TERMS = {"terms": True}


@dataclass(frozen=True)
class Request:
    caller: str
    method: str
    path: str
    body: object = None
    form: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Step:
    """``expected``: fields that the answer must have. ``is_one_decision``: a kill leaves it done or not done.
    ``is_asked_again``: with every picture, because it is answered the same for ever."""

    name: str
    request: Callable[["Shopping"], Request]
    expected: Mapping[str, object] = field(default_factory=dict)
    status: int = 200
    is_one_decision: bool = True
    is_asked_again: bool = False


@dataclass
class Shopping:
    callers: Mapping[str, Caller]
    office: Office
    member_code: str
    cashier: str
    told: dict[str, Answer] = field(default_factory=dict)
    asked_again: dict[str, Request] = field(default_factory=dict)
    wallets: list[str] = field(default_factory=list)
    coupons: dict[str, dict[str, Any]] = field(default_factory=dict)
    plays: dict[str, tuple[str, int]] = field(default_factory=dict)
    accepted: dict[str, tuple[str, int]] = field(default_factory=dict)
    undone: dict[str, tuple[str, int]] = field(default_factory=dict)

    @classmethod
    async def begin(cls, callers: Callers) -> "Shopping":
        known = {name: await callers.phone(address) for name, address in _ADDRESSES.items()}
        known["till"] = await callers.till()
        access = callers.access
        office = await callers.office()
        return cls(known, office, access.member_code, access.cashier)

    async def once(self, step: Step) -> Answer:
        """One try. Errors: ClientConnectionError, ClientPayloadError."""
        asked = step.request(self)
        answer = await self.callers[asked.caller].once(asked.method, asked.path, asked.body, asked.form)
        self._keep_proof(asked, answer)
        return answer

    async def take(self, step: Step) -> Answer:
        """Ask until it is answered, and remember what was told."""
        asked = step.request(self)
        answer = await self._ask(asked)
        assert answer.status == step.status, f"{step.name}: {answer.status} {answer.body.decode()}"
        if step.expected:
            assert {key: answer.json[key] for key in step.expected} == step.expected, step.name
        self.told[step.name] = answer
        if step.is_asked_again:
            self.asked_again[step.name] = asked
        self._learn(asked, answer)
        return answer

    def coupon(self, of: str, campaign: str) -> dict[str, Any]:
        """The newest coupon of a campaign in what a step told."""
        told = self.told[of].json
        cards = told["coupons"] if "coupons" in told else [told["coupon"]]
        found: dict[str, Any] = next(card for card in cards if card["campaign"] == campaign)
        return found

    def redemption(self, of: str) -> str:
        found: str = self.told[of].json["redemption_id"]
        return found

    def _learn(self, asked: Request, answer: Answer) -> None:
        if asked.path == "/api/consent":
            self._enter(asked.caller, answer)
        self._keep_proof(asked, answer)
        if not answer.headers.get("Content-Type", "").startswith("application/json"):
            return
        told = answer.json
        won = [told["coupon"]] if asked.path == "/api/play" else []
        for card in [*told.get("coupons", []), *won]:
            self.coupons[card["id"]] = card
        if receipt := told.get("receipt"):
            self.plays[receipt["nonce"]] = (receipt["day"], told["play"])
        for line in [told, *told.get("lines", [])]:
            if redemption := line.get("redemption_id"):
                if line["decision"] == "accepted":
                    self.accepted[redemption] = (line["coupon"], line["discount_minor"])
                else:
                    self.undone[redemption] = self.accepted[redemption]

    def _enter(self, caller: str, answer: Answer) -> None:
        """A shopper who agreed has a wallet from now on; Bert goes on from another address."""
        if caller == "bert":
            caller = "bert with his cookie"
            self._keep_cookie(caller, answer)
        if caller not in self.wallets:
            self.wallets.append(caller)

    def _keep_proof(self, asked: Request, answer: Answer) -> None:
        """Whoever was told a member's wallet keeps the cookie that came with it: nothing else shows it again."""
        if asked.path == "/member":
            self._keep_cookie(asked.caller, answer)

    def _keep_cookie(self, caller: str, answer: Answer) -> None:
        self.callers[caller].headers["Cookie"] = answer.headers["Set-Cookie"].split(";")[0]

    async def picture(self) -> dict[str, object]:
        """All that shoppers and cashiers can see, and the answers to everything asked before."""
        views = [
            Request(caller, "GET", path) for caller in self.wallets for path in ("/wallet", "/api/wallet")
        ]
        views += [
            Request("till", "GET", coupon_path(card[form]))
            for card in self.coupons.values()
            for form in ("code", "short_code")
        ]
        views += [
            Request(caller, "GET", card["qr_url"])
            for caller in self.wallets
            for card in (await self._ask(Request(caller, "GET", "/api/wallet"))).json["coupons"]
        ]
        views += [Request("till", "GET", "/v1/campaigns"), *self.asked_again.values()]
        answers = await asyncio.gather(*(self._ask(view) for view in views))
        seen: dict[str, object] = {
            f"{view.caller}: {view.method} {view.path} {view.body}": (answer.status, answer.body)
            for view, answer in zip(views, answers, strict=True)
        }
        return seen | {"sheet": await sheet_counts(self.office)}

    async def check_counts(self) -> None:
        """Everything that was told has been counted, once."""
        counted: Counter[tuple[str, str]] = Counter()
        for card in self.coupons.values():
            counted[card["campaign"], "issued"] += 1
        for column, redemptions in (("redeemed", self.accepted), ("undone", self.undone)):
            for coupon, discount_minor in redemptions.values():
                campaign = self.coupons[coupon]["campaign"]
                counted[campaign, column] += 1
                counted[campaign, f"{column}_amount"] += discount_minor
        assert await sheet_counts(self.office) == counted
        for day in {day for day, _ in self.plays.values()}:
            numbers = sorted(number for of, number in self.plays.values() if of == day)
            assert numbers == list(range(1, len(numbers) + 1)), "a play was counted twice or lost"
        for coupon, card in self.coupons.items():
            await self._check_timeline(coupon, card["code"])

    async def _check_timeline(self, coupon: str, code: str) -> None:
        story = (await self._ask(Request("till", "GET", coupon_path(code)))).json
        for what, redemptions in (("redeemed", self.accepted), ("undone", self.undone)):
            told = [redemption for redemption, (of, _) in redemptions.items() if of == coupon]
            assert [line["redemption_id"] for line in story["timeline"] if line["what"] == what] == told
        standing = [r for r, (of, _) in self.accepted.items() if of == coupon and r not in self.undone]
        made = story["redemption"]
        assert ([made["redemption_id"]] if made else []) == standing

    async def _ask(self, asked: Request) -> Answer:
        return await self.callers[asked.caller].ask(asked.method, asked.path, asked.body, asked.form)


def today() -> date:
    """The branch's day: what pages say of days is another thing on the next one."""
    return datetime.now(_ZONE).date()


async def sheet_counts(office: Office) -> Counter[tuple[str, str]]:
    """Counts and amounts (minor units) by campaign and column, of today and of yesterday, where a test may have begun."""
    counts: Counter[tuple[str, str]] = Counter()
    now = today()
    for day in (now - timedelta(days=1), now):
        for line in await office.sheet(day.isoformat()):
            for column in ("issued", "redeemed", "undone"):
                counts[line["campaign"], column] += int(line[column])
            for column in ("redeemed_amount", "undone_amount"):
                counts[line["campaign"], column] += int(Decimal(line[column]) * 100)
    return +counts


def _consent(caller: str) -> Step:
    return Step(
        f"consent of {caller}",
        lambda shopping: Request(caller, "POST", "/api/consent", _TERMS),
        # The visitor, the consent and the coupon are decided one after the other; the page asks for all of them.
        is_one_decision=False,
        is_asked_again=True,
    )


def _play(caller: str, nonce: int) -> Step:
    body = {"campaign": "shake", "nonce": f"{nonce:032x}"}
    return Step(
        f"play {nonce} of {caller}",
        lambda shopping: Request(caller, "POST", "/api/play", body),
        expected={"won": True},
        is_asked_again=True,
    )


def _redeem(name: str, request_id: str, of: str, **expected: object) -> Step:
    def request(shopping: Shopping) -> Request:
        body = {
            "request_id": request_id,
            "code": shopping.coupon(of, "welcome")["code"],
            "order_id": f"o-{of.split()[-1]}",
            "basket_minor": 10_000,
            "currency": "CNY",
            "cashier": shopping.cashier,
        }
        return Request("till", "POST", "/v1/redemptions", body)

    return Step(name, request, expected=expected, is_asked_again=True)


def _basket(shopping: Shopping, who: str, play: str, **more: object) -> dict[str, object]:
    """Both coupons of a shopper: the one as its QR code, the other typed."""
    codes = [
        shopping.coupon(play, "shake")["short_code"],
        shopping.coupon(f"consent of {who}", "welcome")["code"],
    ]
    return {"codes": codes, "basket_minor": 20_000, "currency": "CNY", **more}


def _quote(shopping: Shopping) -> Request:
    return Request("till", "POST", "/v1/quotes", _basket(shopping, "anna", "play 1 of anna"))


def _order(shopping: Shopping) -> Request:
    of = "play 3 of bert with his cookie"
    basket = _basket(shopping, "bert", of, order_id="o-2", cashier=shopping.cashier)
    return Request("till", "POST", "/v1/orders", basket)


def _undo(shopping: Shopping) -> Request:
    path = f"/v1/redemptions/{shopping.redemption('redeem')}/undo"
    return Request("till", "POST", path, {"request_id": "u-1", "cashier": shopping.cashier})


def _stop(shopping: Shopping) -> Request:
    return Request("till", "POST", "/v1/campaigns/welcome/stop", {"cashier": shopping.cashier})


def _link(shopping: Shopping) -> Request:
    return Request("cleo", "POST", "/member", form={"code": shopping.member_code})


STEPS = (
    _consent("anna"),
    Step("wallet of anna", lambda shopping: Request("anna", "GET", "/api/wallet")),
    Step(
        "QR code of anna",
        lambda shopping: Request("anna", "GET", shopping.coupon("wallet of anna", "welcome")["qr_url"]),
    ),
    _play("anna", 1),
    _play("anna", 2),
    Step("wallet of anna after playing", lambda shopping: Request("anna", "GET", "/api/wallet")),
    Step("quote", _quote, expected={"discount_minor": 5_000}),
    _redeem("redeem", "r-1", "consent of anna", decision="accepted", discount_minor=2_000),
    _redeem("redeem again", "r-1", "consent of anna", decision="accepted", discount_minor=2_000),
    _consent("bert"),
    _play("bert with his cookie", 3),
    Step("order", _order, expected={"decision": "accepted", "discount_minor": 5_000}, is_one_decision=False, is_asked_again=True),
    Step("undo", _undo, expected={"decision": "undone"}, is_asked_again=True),
    _redeem("redeem after the undo", "r-2", "consent of anna", decision="accepted", discount_minor=2_000),
    # Two plays went before; a third is all that a day allows.
    _play("anna", 4),
    _consent("cleo"),
    Step("member link", _link),
    Step("stop", _stop, expected={"state": "stopped"}, is_asked_again=True),
    _redeem("redeem after the stop", "r-3", "consent of cleo", decision="refused", reason="campaign_stopped"),
)  # fmt: skip
