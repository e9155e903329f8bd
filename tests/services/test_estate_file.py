"""The estate's file: what it says becomes a change; what it may not say is told, and leaves the estate as it is."""

from cloud_api.ports.chain import ChainRefused, ChainSource
from cloud_api.ports.storage import StorageBusy
from cloud_api.services.estate_file import EstateFile
from engagement.estate.chain import Chain
from engagement.estate.estate import Estate, PutBranch
from tests.fakes import shop
from tests.fakes.estates import access
from tests.fakes.hq import CHAIN, HARBOUR, Hq
from tests.fakes.memory_estate import MemoryEstate
from tests.fakes.memory_storage import MemoryStorage


class HandChain(ChainSource):
    """Is handed its next answer."""

    def __init__(self) -> None:
        self.next: Chain | ChainRefused | None = CHAIN

    def read_if_changed(self) -> Chain | None:
        if isinstance(self.next, ChainRefused):
            raise self.next
        changed, self.next = self.next, None
        return changed


class FullOnce(MemoryEstate):
    is_full = False

    async def put(self, before: Estate, after: Estate, *, whole: object) -> None:
        if self.is_full:
            self.is_full = False
            raise StorageBusy("the disk is full")
        await super().put(before, after, whole=whole)  # type: ignore[arg-type]  # as it was given


def codes(hq: Hq) -> list[str]:
    return [branch.code for branch in hq.estate.branches]


async def test_the_file_is_the_whole_truth_but_for_access() -> None:
    hq, source = Hq(MemoryStorage(), store=MemoryEstate()), HandChain()
    file = EstateFile(source, hq.store, hq.changing)
    await file.read_first()
    assert codes(hq) == ["HARBOUR", "PARK"]
    await hq.change(PutBranch(branch=CHAIN.branches[0].model_copy(update={"tills": ()}), access=access()))
    source.next = CHAIN.model_copy(update={"branches": CHAIN.branches[:1]})
    await file.refresh()
    assert codes(hq) == ["HARBOUR"]
    (here,) = await hq.store.branches([HARBOUR])
    assert here.access == access()
    before = hq.estate.revision
    await file.refresh()
    assert hq.estate.revision == before


async def test_a_file_that_cannot_be_used_is_told_until_it_can() -> None:
    hq, source = Hq(MemoryStorage(), store=MemoryEstate()), HandChain()
    file = EstateFile(source, hq.store, hq.changing)
    await file.read_first()
    source.next = CHAIN.model_copy(update={"campaigns": (shop.campaign(name="Other"),)})
    await file.refresh()
    await file.refresh()
    assert file.complaint is not None
    assert "published terms never change" in file.complaint
    assert hq.estate.revision == 1
    source.next = ChainRefused("half a file")
    await file.refresh()
    assert file.complaint == "half a file"
    source.next = CHAIN
    await file.refresh()
    assert hq.estate.revision == 1
    assert not file.complaint


async def test_a_file_waits_while_the_disk_is_full() -> None:
    store = FullOnce()
    hq, source = Hq(MemoryStorage(), store=store), HandChain()
    file = EstateFile(source, store, hq.changing)
    store.is_full = True
    await file.refresh()
    assert codes(hq) == []
    await file.refresh()
    assert codes(hq) == ["HARBOUR", "PARK"]
