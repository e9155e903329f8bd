"""The connection that reads: rows of a query, and what a failing disk is called."""

import sqlite3

import aiosqlite

from cloud_api.ports.storage import StorageFailed


class Reader:
    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection

    async def all(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """Errors: StorageFailed."""
        try:
            return list(await self._connection.execute_fetchall(sql, values))
        except sqlite3.Error as error:
            raise StorageFailed(str(error)) from error

    async def one(self, sql: str, *values: object) -> sqlite3.Row | None:
        """The first row. Errors: StorageFailed."""
        rows = await self.all(sql, *values)
        return rows[0] if rows else None
