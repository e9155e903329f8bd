"""The secrets of a chain's tills, cashiers and members: drawn at the desk, kept there, and told to HQ as hashes alone.

Decides how long they are and how they are drawn. Pure but for drawing them.
"""

import os
import secrets
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from hashlib import scrypt, sha256
from typing import Literal

from pydantic import Field

from engagement.estate.bundle import Cashier, EnrolledMember, PairedTill
from engagement.estate.estate import Access, DropBranch, PutBranch, PutMembers, Step
from engagement.estate.noting import Held
from engagement.estate.planning import Lack, Plan
from engagement.ids import BranchCode, CashierName, MemberId, TillName
from engagement.values import Value
from engagement.visitor.visitor import normal_member_code

PIN_DIGITS = 6
# Without 0, O, 1, I and L, which people mix up when they read a card aloud.
_CODE_LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
_CODE_GROUPS, _CODE_GROUP_LETTERS = 2, 5


class CashierSecret(Value):
    """``salt``: of the PIN's scrypt, as hexadecimal; drawn with it, so that the one tells the other apart."""

    pin: str
    salt: str


class BranchSecrets(Value):
    till_tokens: dict[TillName, str] = Field(default_factory=dict)
    cashiers: dict[CashierName, CashierSecret] = Field(default_factory=dict)


class ChainSecrets(Value):
    """The file beside an inventory."""

    version: Literal[1] = 1
    branches: dict[BranchCode, BranchSecrets] = Field(default_factory=dict)
    member_codes: dict[MemberId, str] = Field(default_factory=dict)

    def of(self, branch: BranchCode) -> BranchSecrets:
        return self.branches.get(branch) or BranchSecrets()


def held(known: ChainSecrets, *, first_cashier: CashierName, insists: bool = False) -> Held:
    """What shows which secrets the desk has."""
    return Held(
        tills={
            (code, till): sha256_hex(token)
            for code, branch in known.branches.items()
            for till, token in branch.till_tokens.items()
        },
        cashier_salts={
            code: branch.cashiers[first_cashier].salt
            for code, branch in known.branches.items()
            if first_cashier in branch.cashiers
        },
        members={member: _member_hash(code) for member, code in known.member_codes.items()},
        insists=insists,
    )


def with_drawn(known: ChainSecrets, plan: Plan) -> ChainSecrets:
    """With a secret for everybody whom the plan found without one; those that the desk has already are kept."""
    branches = dict(known.branches)
    for lack in plan.lacks:
        branches[lack.branch] = _drawn(known.of(lack.branch), lack)
    codes = {
        member: known.member_codes.get(member) or letters(_CODE_GROUPS) for member in plan.members_lacking
    }
    return ChainSecrets(branches=branches, member_codes={**known.member_codes, **codes})


def _drawn(known: BranchSecrets, lack: Lack) -> BranchSecrets:
    kept = BranchSecrets() if lack.is_renewal else known
    tokens = {till: kept.till_tokens.get(till) or secrets.token_urlsafe(32) for till in lack.tills}
    cashiers = {name: kept.cashiers.get(name) or _new_cashier() for name in lack.cashiers}
    return BranchSecrets(till_tokens={**known.till_tokens, **tokens}, cashiers={**known.cashiers, **cashiers})


def _new_cashier() -> CashierSecret:
    pin = f"{secrets.randbelow(10**PIN_DIGITS):0{PIN_DIGITS}d}"
    return CashierSecret(pin=pin, salt=secrets.token_hex(16))


def letters(groups: int) -> str:
    """Groups of five, about 25 bits each."""
    return "-".join(
        "".join(secrets.choice(_CODE_LETTERS) for _ in range(_CODE_GROUP_LETTERS)) for _ in range(groups)
    )


def hashed_access(known: ChainSecrets, lacks: Iterable[Lack]) -> Mapping[BranchCode, Access]:
    """What HQ is told of those who lacked a secret. A PIN takes 50 ms, which cores share."""
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as hashing:
        hashes = hashing.map(lambda lack: (lack.branch, _hashed(known.of(lack.branch), lack)), lacks)
        return dict(hashes)


def _hashed(known: BranchSecrets, lack: Lack) -> Access:
    return Access(
        tills=tuple(
            PairedTill(name=till, token_sha256=sha256_hex(known.till_tokens[till])) for till in lack.tills
        ),
        cashiers=tuple(hashed_cashier(name, known.cashiers[name]) for name in lack.cashiers),
    )


def hashed_cashier(name: CashierName, known: CashierSecret) -> Cashier:
    return Cashier(name=name, salt=known.salt, pin_scrypt=scrypt_hex(known.pin, known.salt))


def hashed_members(known: ChainSecrets, members: Iterable[MemberId]) -> tuple[EnrolledMember, ...]:
    return tuple(
        EnrolledMember(id=member, code_sha256=_member_hash(known.member_codes[member])) for member in members
    )


def without_gone(known: ChainSecrets, steps: Iterable[Step]) -> ChainSecrets:
    """Without the secrets of branches, tills and members that the steps have taken away."""
    branches, codes = dict(known.branches), known.member_codes
    for step in steps:
        if isinstance(step, DropBranch):
            branches.pop(step.code, None)
        elif isinstance(step, PutBranch) and step.branch.code in branches:
            branches[step.branch.code] = _listed(branches[step.branch.code], step)
        elif isinstance(step, PutMembers):
            ids = {member.id for member in step.members}
            codes = {member: code for member, code in codes.items() if member in ids}
    return ChainSecrets(branches=branches, member_codes=codes)


def _listed(known: BranchSecrets, step: PutBranch) -> BranchSecrets:
    names = {till.name for till in step.branch.tills}
    tokens = {name: token for name, token in known.till_tokens.items() if name in names}
    # A PIN opens the till's pages, which a branch without tills has none of.
    return BranchSecrets(till_tokens=tokens, cashiers=known.cashiers if names else {})


def scrypt_hex(text: str, salt_hex: str) -> str:
    return scrypt(text.encode(), salt=bytes.fromhex(salt_hex), n=2**14, r=8, p=1, dklen=32).hex()


def sha256_hex(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _member_hash(code: str) -> str:
    return sha256_hex(normal_member_code(code))
