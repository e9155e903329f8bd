"""Agents' last reports as rows."""

import sqlite3
from collections.abc import Sequence

from cloud_api.adapters.sqlite.reading import Reader
from cloud_api.adapters.sqlite.writer import Writer
from cloud_api.ports.estate import KeptReport, ReportStore
from engagement.ids import AgentName
from engagement.line.answers import AgentReport


class SqliteReports(ReportStore):
    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def put_report(self, kept: KeptReport) -> None:
        row = (kept.agent, kept.received_ms, kept.report.model_dump_json())

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("REPLACE INTO reports (agent, received_ms, body) VALUES (?, ?, ?)", row)

        await self._writer.write(work)

    async def reports(self) -> Sequence[KeptReport]:
        rows = await self._reader.all("SELECT agent, received_ms, body FROM reports ORDER BY agent")
        return [
            KeptReport(AgentName(agent), AgentReport.model_validate_json(body), received_ms)
            for agent, received_ms, body in rows
        ]
