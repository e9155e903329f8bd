"""The operating system's entropy."""

import secrets

from cloud_api.ports.machine import Entropy


class SystemEntropy(Entropy):
    def token(self, n_bytes: int) -> bytes:
        return secrets.token_bytes(n_bytes)
