"""What HQ seals with, and whether the desk's root vouches for it.

HQ makes its key itself; the desk's root certifies it, and nothing is sealed or enrolled before that. The root stays the
one that the first certificate came from, in name and key, for every agent has pinned it: another one must be asked for.
"""

import asyncio
import logging
from collections.abc import Callable

from cloud_api.ports.authority import AuthorityKey, Certified
from cloud_api.ports.storage import StorageBusy
from cloud_api.services.refused import Refused
from engagement.ids import AgentName
from engagement.line.certificates import CertificateWrong, check_authority, is_same_root, root_fingerprint
from engagement.line.seal import Authority

_LOG = logging.getLogger(__name__)


class Sealing:
    def __init__(self, key: AuthorityKey) -> None:
        self._key = key
        self._certified = key.certified()
        self._turn = asyncio.Lock()

    @property
    def request_pem(self) -> str:
        """What the desk's root is asked to sign."""
        return self._key.request_pem

    @property
    def authority(self) -> Authority | None:
        """None while HQ is not certified."""
        if self._certified is None:
            return None
        return Authority(self._certified.certificate_pem, self._key.sign)

    @property
    def root_pem(self) -> str:
        """Empty while HQ is not certified."""
        return self._certified.root_pem if self._certified is not None else ""

    @property
    def root_fingerprint(self) -> bytes:
        """10 bytes, as claim codes carry them. Errors: Refused."""
        return root_fingerprint(self._demand().root_pem)

    def is_known_by(self, shows_root: Callable[[bytes], bool]) -> bool:
        """Whether agents that get a claim code will know HQ by what it shows them; they get none while it is not certified."""
        return self._certified is None or shows_root(root_fingerprint(self._certified.root_pem))

    def issue(self, agent: AgentName, public_key: bytes) -> str:
        """An agent's certificate and the authority's behind it, as PEM. Errors: Refused."""
        return self._key.issue(agent, public_key, self._demand().certificate_pem)

    async def certify(self, certified: Certified, *, replace_root: bool, by: str) -> None:
        """Take a certificate for HQ's key. Errors: Refused; StorageBusy when it could not be kept."""
        try:
            check_authority(
                certified.certificate_pem, root_pem=certified.root_pem, public_key=self._key.public_key
            )
        except CertificateWrong as wrong:
            raise Refused("certificate_wrong", f"{wrong}; sign the request that HQ gives") from wrong
        async with self._turn:
            before = self._certified
            is_new_root = before is not None and not is_same_root(before.root_pem, certified.root_pem)
            if is_new_root and not replace_root:
                raise Refused(
                    "root_pinned",
                    "HQ is certified by another root, which every agent has pinned; once it is replaced all the same "
                    "(--replace-root, `replace_root`), each needs a new claim code",
                )
            try:
                await asyncio.to_thread(self._key.keep, certified)
            except OSError as failure:
                raise StorageBusy(f"the certificate cannot be kept ({failure.strerror})") from failure
            self._certified = certified
        _LOG.info("HQ's key was certified", extra={"by": by, "is_new_root": is_new_root})

    def _demand(self) -> Certified:
        if self._certified is None:
            raise Refused(
                "not_certified", "HQ's key is not certified yet; run `beckon hq certify` at the desk"
            )
        return self._certified
