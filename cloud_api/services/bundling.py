"""Gives each agent its sealed bundle: what it works from, proved by HQ's root whoever carries it."""

from typing import NamedTuple, Protocol

from cloud_api.ports.estate import EstateStore
from cloud_api.services.estate_view import EstateView
from cloud_api.services.refused import Refused
from engagement.estate.bundling import Place, bundle_at
from engagement.estate.sealing import proved_sequence, seal_bundle
from engagement.ids import AgentName
from engagement.line.seal import Authority

# An agent that lost the answer on a bad line asks again; 50 kB each, and 6 MB of a chain with very many members.
_KEPT_MAX, _KEPT_CHARS_MAX = 32, 16 * 2**20


class Sealer(Protocol):
    """``authority``: None while HQ is not certified, ``root_pem`` empty."""

    @property
    def authority(self) -> Authority | None: ...

    @property
    def root_pem(self) -> str: ...


class _Kept(NamedTuple):
    sequence: int
    authority_pem: str
    text: str


class Bundling:
    def __init__(self, *, store: EstateStore, estate: EstateView, sealer: Sealer) -> None:
        self._store = store
        self._estate = estate
        self._sealer = sealer
        self._kept: dict[AgentName, _Kept] = {}

    def wanted(self, agent: AgentName) -> int:
        """The sequence of the newest bundle that the agent can have; 0 when it can have none."""
        is_certified = self._sealer.authority is not None
        return (self._estate.bundle_sequence(agent) or 0) if is_certified else 0

    def proved(self, agent: AgentName, proof: str) -> int:
        """The sequence of a bundle that the agent has from HQ, whether HQ remembers it or not; 0 where nothing is proved."""
        return proved_sequence(proof, root_pem=self._sealer.root_pem, agent=agent) if proof else 0

    async def sealed(self, agent: AgentName) -> str:
        """Errors: Refused agent_not_listed, not_certified; StorageFailed."""
        async with self._estate.turn:
            place = self._estate.place(agent)
            if place is None:
                raise Refused("agent_not_listed", f"no branch lists agent {agent!r}; it keeps what it has")
            authority = self._sealer.authority
            if authority is None:
                raise Refused("not_certified", "HQ's key has no certificate yet; come again")
            sequence = self._estate.bundle_sequence(agent)
            kept = self._kept.get(agent)
            if kept is None or (kept.sequence, kept.authority_pem) != (sequence, authority.certificate_pem):
                kept = await self._make(place, authority)
                self._keep(agent, kept)
            return kept.text

    async def _make(self, place: Place, authority: Authority) -> _Kept:
        (whole,) = await self._store.branches([place.branch.branch.code])
        agent = next(each for each in whole.branch.agents if each.name == place.agent.name)
        bundle = bundle_at(self._estate.estate, Place(whole, agent))
        text = seal_bundle(bundle, authority)
        return _Kept(bundle.sequence, authority.certificate_pem, text)

    def _keep(self, agent: AgentName, kept: _Kept) -> None:
        self._kept.pop(agent, None)
        self._kept[agent] = kept
        while len(self._kept) > _KEPT_MAX or self._kept_chars > _KEPT_CHARS_MAX:
            del self._kept[next(iter(self._kept))]

    @property
    def _kept_chars(self) -> int:
        return sum(len(kept.text) for kept in self._kept.values())
