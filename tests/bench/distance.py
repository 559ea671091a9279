# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server as if it were further away: a relay that hands every byte on a little later, in both directions.

Bandwidth is not limited: what is sent at once arrives at once, as over a network with that round trip.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import typing as t


async def _carry(source: asyncio.StreamReader, target: asyncio.StreamWriter, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    underway: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def deliver() -> None:
        while True:
            due, data = await underway.get()
            await asyncio.sleep(due - loop.time())
            if not data:
                target.close()
                return
            target.write(data)
            await target.drain()

    with contextlib.suppress(OSError):
        delivery = asyncio.create_task(deliver())
        data = b"begin"
        while data:
            data = await source.read(1 << 16)
            underway.put_nowait((loop.time() + seconds, data))
        await delivery


@contextlib.contextmanager
def relay(host: str, port: int, round_trip: float) -> t.Iterator[int]:
    """A port on this machine that leads to a server. :arg round_trip: in seconds, beside what it takes anyway."""
    loop = asyncio.new_event_loop()

    async def connect(source: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        far_source, far = await asyncio.open_connection(host, port)
        await asyncio.gather(_carry(source, far, round_trip / 2), _carry(far_source, answers, round_trip / 2))

    server = loop.run_until_complete(asyncio.start_server(connect, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        under_way = asyncio.all_tasks(loop)
        for task in under_way:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*under_way, return_exceptions=True))
        loop.close()
