"""Hashes passwords in a thread: scrypt holds no lock of the interpreter while it works."""

import asyncio
from hashlib import scrypt

# Its working memory at these parameters is 16 MiB; OpenSSL refuses without a little room above that.
_MEMORY_BYTES_MAX = 32 * 2**20


async def password_scrypt(password: str, salt: bytes) -> bytes:
    """scrypt of the password's UTF-8 with N=2**14, r=8, p=1, 32 bytes, as the users' file has it."""
    return await asyncio.to_thread(
        scrypt,
        password.encode(errors="replace"),
        salt=salt,
        n=2**14,
        r=8,
        p=1,
        maxmem=_MEMORY_BYTES_MAX,
        dklen=32,
    )
