"""HQ as an agent sees it: takes bytes, keeps what its mark lets in, and lines to it that are calm or stormy."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from edge_agent.ports import (
    BatchDiverged,
    HqDoor,
    LineDown,
    LineGap,
    LineRefused,
    Uplink,
)
from engagement.ids import AgentName
from engagement.journal.batch import Batch, decode_batch, encode_batch
from engagement.journal.entry import Entry
from engagement.journal.event import Lane
from engagement.journal.tip import Epoch, LaneTip
from engagement.line.admission import Diverged, Fresh, Gap, Known, admit
from engagement.line.answers import BatchAnswer, EnrolmentAnswer, EnrolmentRequest
from engagement.line.claim import Claim, answer_mac, is_same_mac, request_mac
from tests.fakes.storm import Storm

Stream = tuple[Epoch, Lane]
_ENTRIES_MAX = 1000


class FakeHq:
    """``arrived``: the lane of every batch that brought something new, in order; ``asked``: how many came in all."""

    def __init__(self) -> None:
        self.streams: dict[Stream, list[Entry]] = {}
        self.claims: dict[str, tuple[Claim, AgentName]] = {}
        self.enrolled: dict[str, str] = {}
        self.arrived: list[Lane] = []
        self.sizes: list[int] = []
        self.asked = 0
        self.root_pem = ""
        self._backup: dict[Stream, list[Entry]] = {}

    def take(self, data: bytes) -> BatchAnswer:
        """Errors: LineGap, BatchDiverged."""
        self.asked += 1
        batch = decode_batch(data, entries_max=_ENTRIES_MAX)
        kept = self.streams.setdefault((batch.epoch, batch.lane), [])
        mark = LaneTip(kept[-1].seq, kept[-1].head) if kept else LaneTip()
        match admit(mark, batch):
            case Gap(expected):
                raise LineGap(expected)
            case Diverged():
                raise BatchDiverged
            case Known(seq, head) if kept[seq - 1].head != head:
                raise BatchDiverged
            case Fresh(entries) if entries:
                kept.extend(entries)
                self.arrived.append(batch.lane)
                self.sizes.append(len(batch.entries))
        return BatchAnswer(ack=kept[-1].seq if kept else 0)

    def enrol(self, request: EnrolmentRequest) -> EnrolmentAnswer:
        """Errors: LineRefused."""
        if request.claim_id not in self.claims:
            raise LineRefused("claim_unknown")
        claim, agent = self.claims[request.claim_id]
        key, nonce = bytes.fromhex(request.agent_public_key_hex), bytes.fromhex(request.nonce_hex)
        if not is_same_mac(bytes.fromhex(request.mac_hex), request_mac(claim, public_key=key, nonce=nonce)):
            raise LineRefused("mac_wrong")
        if self.enrolled.setdefault(request.claim_id, request.agent_public_key_hex) != key.hex():
            raise LineRefused("claim_used")
        mac = answer_mac(claim, public_key=key, nonce=nonce, agent=agent, root_pem=self.root_pem)
        return EnrolmentAnswer(agent=agent, mac_hex=mac.hex(), root_pem=self.root_pem)

    def back_up(self) -> None:
        self._backup = {stream: list(entries) for stream, entries in self.streams.items()}

    def restore(self) -> None:
        """Everything since the backup is gone."""
        self.streams = {stream: list(entries) for stream, entries in self._backup.items()}

    def seqs(self, lane: Lane) -> list[int]:
        return [entry.seq for (_, each), entries in self.streams.items() if each is lane for entry in entries]


@dataclass
class CalmLine(Uplink):
    """``trouble``: raised instead of an answer while it is set; ``on_answer`` may change what HQ said."""

    hq: FakeHq
    trouble: Callable[[Batch], Exception | None] = lambda batch: None
    on_answer: Callable[[BatchAnswer], BatchAnswer] = lambda answer: answer
    takes_s: float = 0.05
    enrolment_trouble: Exception | None = None
    asked_at_s: list[float] = field(default_factory=list)
    doors: list[HqDoor | None] = field(default_factory=list)

    async def ship(self, batch: Batch) -> BatchAnswer:
        self.asked_at_s.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.takes_s)
        if (trouble := self.trouble(batch)) is not None:
            raise trouble
        return self.on_answer(self.hq.take(encode_batch(batch)))

    async def enrol(self, request: EnrolmentRequest, door: HqDoor | None) -> EnrolmentAnswer:
        self.asked_at_s.append(asyncio.get_running_loop().time())
        self.doors.append(door)
        await asyncio.sleep(self.takes_s)
        if self.enrolment_trouble is not None:
            raise self.enrolment_trouble
        return self.hq.enrol(request)


class StormyLine(Uplink):
    """``storm`` decides what becomes of each batch."""

    def __init__(self, hq: FakeHq, storm: Storm) -> None:
        self._hq = hq
        self._storm = storm

    async def ship(self, batch: Batch) -> BatchAnswer:
        data = encode_batch(batch)
        return await self._storm.carry(lambda: self._hq.take(data))

    async def enrol(self, request: EnrolmentRequest, door: HqDoor | None) -> EnrolmentAnswer:
        raise LineDown("nobody enrols in a storm")
