"""New boxes on a network, with real keys, and the impostors that may stand beside them."""

from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typing_extensions import override

from engagement.ids import AgentName, BranchCode
from engagement.line.claim import claim_for, claim_text, make_claim
from engagement.line.setup import (
    SealedClaim,
    SetupOffer,
    SetupRefused,
    key_fingerprint,
    make_offer,
    open_claim,
)
from provisioning.ports import HqRefused, HqSilent
from provisioning.services.claiming import Boxes, BoxSilent, FoundBox, HqOfClaims

CODE = claim_text(
    claim_for(make_claim(bytes(range(15))), address="hq.example:8600", root_fingerprint=bytes(10))
)


@dataclass
class NewBox:
    """``use``: what it does with a code that it could read; ``said``: what it tells whoever asks."""

    seed: int = 1
    use: Callable[[str, bytes], None] = lambda code, public_key: None
    said: str = ""
    codes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.key = Ed25519PrivateKey.from_private_bytes(bytes([self.seed]) * 32)
        self.public_key = self.key.public_key().public_bytes_raw()
        self.secret = bytes([self.seed ^ 0xFF]) * 32
        self.fingerprint = key_fingerprint(self.public_key)

    def offer(self) -> SetupOffer:
        return make_offer(
            public_key=self.public_key, sign=self.key.sign, agreement_secret=self.secret, said=self.said
        )

    def take(self, claim: SealedClaim) -> None:
        try:
            code = open_claim(claim, public_key=self.public_key, agreement_secret=self.secret)
        except SetupRefused as refused:
            raise BoxSilent(str(refused)) from refused
        self.codes.append(code)
        self.use(code, self.public_key)


class Liar(NewBox):
    """Shows what ``truth`` shows, with an agreement key of its own; ``read``: the codes that it could make out."""

    def __init__(self, truth: NewBox) -> None:
        super().__init__(seed=99)
        self.truth = truth

    @override
    def offer(self) -> SetupOffer:
        return self.truth.offer().model_copy(update={"agreement_key_hex": super().offer().agreement_key_hex})


class Relay(NewBox):
    """Stands between: passes on what ``truth`` offers, keeps what it is given, and tries every key that it has."""

    def __init__(self, truth: NewBox) -> None:
        super().__init__(seed=98)
        self.truth = truth
        self.seen: list[SealedClaim] = []

    @override
    def offer(self) -> SetupOffer:
        return self.truth.offer()

    @override
    def take(self, claim: SealedClaim) -> None:
        self.seen.append(claim)
        for public_key in (self.public_key, self.truth.public_key):
            try:
                self.codes.append(open_claim(claim, public_key=public_key, agreement_secret=self.secret))
            except SetupRefused:
                continue


@dataclass
class Network(Boxes):
    """Who answers at which host."""

    boxes: dict[str, NewBox]

    @override
    async def offer(self, box: FoundBox) -> SetupOffer:
        return self._at(box).offer()

    @override
    async def give(self, box: FoundBox, claim: SealedClaim) -> None:
        self._at(box).take(claim)

    def _at(self, box: FoundBox) -> NewBox:
        if box.host not in self.boxes:
            raise BoxSilent("it does not answer")
        return self.boxes[box.host]


@dataclass
class HqOfAgents(HqOfClaims):
    """``keys``: of who is which agent; ``silent_for``: so many questions go unanswered once the code is given."""

    code: str = CODE
    keys: dict[AgentName, bytes] = field(default_factory=dict)
    refusal: str | None = None
    silent_for: int = 0
    codes_given: int = 0

    @override
    async def claim_code(self, branch: BranchCode, agent: AgentName) -> str:
        if self.refusal is not None:
            raise HqRefused(self.refusal)
        self.codes_given += 1
        return self.code

    @override
    async def enrolled_key(self, agent: AgentName) -> bytes | None:
        if self.codes_given and self.silent_for:
            self.silent_for -= 1
            raise HqSilent("nobody is there")
        return self.keys.get(agent)
