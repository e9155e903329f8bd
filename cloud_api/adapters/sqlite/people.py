"""Agents with their claims, users with their sessions, as SQL."""

import sqlite3
from collections.abc import Sequence

from cloud_api.ports.storage import KnownAgent, KnownClaim, NameTaken, User
from engagement.ids import AgentName

AGENTS = (
    "SELECT name, branch, number, state, public_key, enrolled_ms, last_contact_ms FROM agents ORDER BY name"
)
CLAIM = (
    "SELECT claims.mac_key, agents.name, claims.expires_ms, claims.public_key"
    " FROM claims JOIN agents ON agents.id = claims.agent_id WHERE claims.id = ?"
)
USER = "SELECT name, salt, password_scrypt FROM users WHERE name = ?"
SESSION = "SELECT token_sha256, user_name, expires_ms FROM sessions WHERE token_sha256 = ?"


def put_claim(connection: sqlite3.Connection, agent: KnownAgent, claim: KnownClaim) -> None:
    """Errors: NameTaken."""
    holder = connection.execute("SELECT name FROM agents WHERE number = ?", (agent.number,)).fetchone()
    if holder is not None and holder[0] != agent.name:
        raise NameTaken(f"number {agent.number} is that of agent {holder[0]!r}")
    known = connection.execute("SELECT id FROM agents WHERE name = ?", (agent.name,)).fetchone()
    if known is None:
        known = connection.execute(
            "INSERT INTO agents (name, branch, number, state) VALUES (?, ?, ?, ?) RETURNING id",
            (agent.name, agent.branch, agent.number, agent.state),
        ).fetchone()
    else:
        connection.execute(
            "UPDATE agents SET branch = ?, number = ? WHERE id = ?", (agent.branch, agent.number, *known)
        )
    connection.execute("DELETE FROM claims WHERE agent_id = ? AND used_ms IS NULL", known)
    connection.execute(
        "INSERT INTO claims (id, agent_id, mac_key, expires_ms) VALUES (?, ?, ?, ?)",
        (claim.claim.id, *known, claim.claim.key, claim.expires_ms),
    )


def enrol(connection: sqlite3.Connection, claim_id: str, public_key: bytes, at_ms: int) -> bool:
    """False when the claim is unknown or was used."""
    used = connection.execute(
        "UPDATE claims SET public_key = ?, used_ms = ? WHERE id = ? AND used_ms IS NULL",
        (public_key, at_ms, claim_id),
    )
    if used.rowcount == 0:
        return False
    connection.execute(
        "UPDATE agents SET public_key = ?, enrolled_ms = ?, last_contact_ms = ?, state = 'active'"
        " WHERE id = (SELECT agent_id FROM claims WHERE id = ?)",
        (public_key, at_ms, at_ms, claim_id),
    )
    return True


def revoke(connection: sqlite3.Connection, agent: AgentName) -> None:
    connection.execute("UPDATE agents SET state = 'revoked', public_key = NULL WHERE name = ?", (agent,))
    connection.execute(
        "DELETE FROM claims WHERE used_ms IS NULL AND agent_id = (SELECT id FROM agents WHERE name = ?)",
        (agent,),
    )


def set_users(connection: sqlite3.Connection, users: Sequence[User]) -> None:
    before = {User(*row) for row in connection.execute("SELECT name, salt, password_scrypt FROM users")}
    for gone in before - set(users):
        connection.execute("DELETE FROM users WHERE name = ?", (gone.name,))
        connection.execute("DELETE FROM sessions WHERE user_name = ?", (gone.name,))
    connection.executemany(
        "INSERT INTO users (name, salt, password_scrypt) VALUES (?, ?, ?)", set(users) - before
    )
