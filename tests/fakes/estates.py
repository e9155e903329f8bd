"""Estates for tests: branches, campaigns and steps that fit unless a test changes them, and a change applied for sure."""

from engagement.campaign.model import Campaign
from engagement.estate.branch import Branch
from engagement.estate.bundle import Cashier, EnrolledMember, PairedTill
from engagement.estate.changing import changed
from engagement.estate.estate import Access, Change, Estate, PublishCampaign, PutBranch, Step
from engagement.ids import AgentName, BranchCode, CashierName, MemberId, TillName
from tests.fakes import shop

BY = "hq"


def branch(code: str, *agents: str, **changes: object) -> Branch:
    """With one zone, one till and these agents, unnumbered."""
    file = {
        "name": code.title(),
        "code": code,
        "time_zone": "Asia/Shanghai",
        "languages": ["en"],
        "currency": "CNY",
        "zones": ["door"],
        "tills": ["till 1"],
        "agents": [{"name": agent} for agent in agents],
    }
    return Branch.model_validate(file | changes)


def access(*tills: str) -> Access:
    return Access(
        tills=tuple(PairedTill(name=TillName(till), token_sha256=till[-1] * 64) for till in tills),
        cashiers=(Cashier(name=CashierName("Li"), salt="0" * 32, pin_scrypt="1" * 64),),
    )


def member(name: str, digit: str = "a") -> EnrolledMember:
    return EnrolledMember(id=MemberId(name), code_sha256=digit * 64)


def publish(*campaigns: Campaign) -> tuple[PublishCampaign, ...]:
    return tuple(PublishCampaign(campaign=campaign) for campaign in campaigns)


def put(*branches: Branch) -> tuple[PutBranch, ...]:
    return tuple(PutBranch(branch=branch) for branch in branches)


def after(estate: Estate, *steps: Step, numbers: dict[AgentName, int] | None = None) -> Estate:
    """The estate after a change that must be right."""
    result = tried(estate, *steps, numbers=numbers)
    assert isinstance(result, Estate), result
    return result


def tried(
    estate: Estate, *steps: Step, numbers: dict[AgentName, int] | None = None, at_ms: int = shop.NOON_MS
) -> Estate | tuple[str, ...]:
    change = Change(base=estate.revision, steps=steps)
    return changed(estate, change, numbers=numbers or {}, at_ms=at_ms, by=BY)


def changed_of(estate: Estate, code: str) -> int:
    return next(each.changed for each in estate.branches if each.branch.code == BranchCode(code))
