"""Agents and an HQ that move rights over a line that loses, repeats and reorders; all of it values, no I/O.

The agent here is the least one that is right: what it tells is on its disk before it is told, and an answer counts only
in the exchange in which it was asked for. The world sees everything, and says what must hold at every step.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256

from cloud_api.ports.rights import LeaseKey
from engagement.ids import AgentName, CampaignId
from engagement.journal.tip import Epoch
from engagement.rights.account import Account, Books, CampaignTerms
from engagement.rights.amount import NOTHING, Amount
from engagement.rights.lending import Asking, LeaseFault, Lent, NotLent, lend
from engagement.rights.messages import Grant, HeldAccount, LeaseRequest
from tests.fakes.memory_rights import RightsFile

CAMPAIGNS = (CampaignId("shake"), CampaignId("welcome"))
LIABILITY_MINOR = 7
AGENTS = 3
BUDGET_UNITS = 8

Rule = Callable[[Books, Asking], Lent | NotLent]
Answer = Grant | LeaseFault


def one(units: int, liability_minor: int) -> Amount:
    return Amount(units=units, minor=units * liability_minor)


@dataclass
class Box:
    """An agent's ledger file. ``exchange``: the one in which an answer would count; ``unanswered``: may be asked again."""

    key: LeaseKey
    accounts: dict[CampaignId, Account]
    number: int = 0
    grant: Grant | None = None
    unanswered: LeaseRequest | None = None
    exchange: int | None = None

    def issue(self, campaign: CampaignId, liability_minor: int) -> bool:
        account = self.accounts[campaign]
        if not account.held.covers(one(1, liability_minor)):
            return False
        self.accounts[campaign] = replace(account, used=account.used + one(1, liability_minor))
        return True

    def give_back(self, campaign: CampaignId, back: Amount) -> None:
        account = self.accounts[campaign]
        self.accounts[campaign] = replace(account, returned=account.returned + back.at_most(account.held))

    def ask(self, wanted: Mapping[CampaignId, int]) -> LeaseRequest:
        self.number += 1
        self.unanswered = LeaseRequest(
            epoch=self.key.epoch,
            number=self.number,
            accounts=tuple(
                HeldAccount(
                    campaign=campaign,
                    granted=account.granted,
                    returned=account.returned,
                    used=account.used,
                    wanted_units=wanted.get(campaign, 0),
                )
                for campaign, account in self.accounts.items()
            ),
            grant=self.grant.model_dump_json() if self.grant else "",
        )
        return self.unanswered

    def take(self, exchange: int, answer: Answer) -> None:
        if exchange != self.exchange:
            return
        self.exchange = None
        self.unanswered = None
        if isinstance(answer, Grant):
            self.grant = answer
            for each in answer.accounts:
                account = self.accounts[each.campaign]
                self.accounts[each.campaign] = replace(
                    account, granted=account.granted.at_least(each.granted)
                )
        elif answer is LeaseFault.WRITTEN_OFF:
            for campaign, account in self.accounts.items():
                self.give_back(campaign, account.held)


@dataclass
class World:
    """``wire``: requests on their way, and answers, each with its exchange; anything may be taken any time, or never."""

    terms: dict[CampaignId, CampaignTerms]
    boxes: list[Box]
    rule: Rule = lend
    file: RightsFile = field(default_factory=lambda: RightsFile("0" * 32))
    backups: list[RightsFile] = field(default_factory=list)
    asked: list[tuple[int, Box, LeaseRequest]] = field(default_factory=list)
    answered: list[tuple[int, Box, Answer]] = field(default_factory=list)
    gone: list[Box] = field(default_factory=list)
    lost: dict[CampaignId, Amount] = field(default_factory=dict)
    exchanges: int = 0
    incarnations: int = 0

    def expected(self) -> frozenset[AgentName]:
        return frozenset(box.key.agent for box in self.boxes)

    def send(self, box: Box, request: LeaseRequest) -> None:
        self.exchanges += 1
        box.exchange = self.exchanges
        self.asked.append((self.exchanges, box, request))

    def serve(
        self, place: int, *, is_kept: bool = True, is_answered: bool = True, again: bool = False
    ) -> None:
        """HQ takes a request from the wire. ``is_kept``: it did not crash before the commit; ``again``: the request comes once more."""
        exchange, box, request = self.asked[place] if again else self.asked.pop(place)
        books = self.file.books(box.key, self.expected)
        ruled = self.rule(books, self._asking(box, request))
        if is_kept:
            self.file.keep(box.key, ruled.books)
        if is_answered:
            answer = ruled.grant if isinstance(ruled, Lent) else ruled.fault
            self.answered.append((exchange, box, answer))

    def _asking(self, box: Box, request: LeaseRequest) -> Asking:
        return Asking(
            agent=box.key.agent,
            request=request,
            request_sha256=sha256(request.model_dump_json().encode()).digest(),
            proof=Grant.model_validate_json(request.grant) if request.grant else None,
            terms=self.terms,
            active_agents=len(self.boxes),
            fresh_incarnation=self._incarnation(),
        )

    def _incarnation(self) -> str:
        self.incarnations += 1
        return f"{self.incarnations:032x}"

    def converse(self, box: Box, wanted: Mapping[CampaignId, int]) -> None:
        """A whole exchange on a good line."""
        self.send(box, box.ask(wanted))
        self.serve(len(self.asked) - 1)
        self.take(len(self.answered) - 1)

    def take(self, place: int) -> None:
        exchange, box, answer = self.answered.pop(place)
        box.take(exchange, answer)

    def back_up(self) -> None:
        self.backups.append(self.file.copy())

    def restore(self, place: int) -> None:
        """What ledger files that are gone were granted since, nobody can tell any more."""
        for box in self.gone:
            self._lose(box, self.backups[place])
        self.file = self.backups[place].restored(self._incarnation())

    def give_up(self, agent: AgentName) -> None:
        """While HQ is fenced, what the agent was granted since the backup is not known."""
        for box in self.boxes:
            if box.key.agent == agent and agent in self.file.awaited(self.expected):
                self._lose(box, self.file)
        self.file.give_up(agent, self.expected)

    def _lose(self, box: Box, file: RightsFile) -> None:
        known = file.accounts.get(box.key, {})
        for campaign, account in box.accounts.items():
            unknown = account.outstanding - known.get(campaign, Account()).outstanding
            self.lost[campaign] = self.lost.get(campaign, NOTHING) + unknown

    def lose_ledger(self, place: int) -> None:
        """A new ledger file in its stead; what the old one held is stranded."""
        old = self.boxes[place]
        self.gone.append(old)
        epoch = Epoch(f"{len(self.gone) + 100:016x}")
        self.boxes[place] = Box(LeaseKey(old.key.agent, epoch), {each: Account() for each in old.accounts})

    def check(self) -> None:
        """I1 and I2, per campaign, in units and in money."""
        for campaign, terms in self.terms.items():
            allowed = terms.budget + self.lost.get(campaign, NOTHING)
            shown = sum((box.accounts[campaign].used for box in self.boxes + self.gone), NOTHING)
            assert allowed.covers(shown), f"over-issued {campaign}: {shown} of {allowed}"
            accounts = [each[campaign] for each in self.file.accounts.values() if campaign in each]
            sum_ = sum((account.outstanding for account in accounts), NOTHING)
            outstanding = self.file.outstanding.get(campaign, NOTHING)
            assert outstanding == sum_, f"the books of {campaign} do not add up"
            # A fenced HQ may have heard of a grant, and not yet of the return that made room for it.
            assert self.file.is_fenced or allowed.covers(outstanding), (
                f"over-granted {campaign}: {outstanding} of {allowed}"
            )
            for account in accounts:
                assert account.granted.covers(account.returned + account.used), (
                    "more used and returned than granted"
                )

    def heal(self) -> None:
        """Everything that was on its way is lost, and every agent speaks until nothing changes."""
        self.asked.clear()
        self.answered.clear()
        for _ in range(6):
            for box in self.boxes:
                self.converse(box, {})


def new_world() -> World:
    """Three agents that have asked for nothing yet."""
    terms = CampaignTerms(one(BUDGET_UNITS, LIABILITY_MINOR), LIABILITY_MINOR)
    keys = [LeaseKey(AgentName(f"agent-{each}"), Epoch(f"{each:016x}")) for each in range(1, AGENTS + 1)]
    return World(
        terms=dict.fromkeys(CAMPAIGNS, terms),
        boxes=[Box(key, {campaign: Account() for campaign in CAMPAIGNS}) for key in keys],
    )
