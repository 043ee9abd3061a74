"""A TCP balancer as operators put before several coordinators: each connection goes to the next
backend that takes it, and lives as long as both ends do."""

import asyncio
import threading


class Balancer:
    """Serves from a thread of its own. `backends` (a list of HOST:PORT) may change at any time.
    `rewrite` makes of the bytes that clients send those that arrive."""

    def __init__(self, backends=(), host="127.0.0.1", rewrite=None):
        self.backends = list(backends)
        self.rewrite = rewrite
        self.connections = 0
        self.turn = 0
        self.loop = asyncio.new_event_loop()
        started = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(host, started), daemon=True)
        self.thread.start()
        started.wait(10)

    def _run(self, host, started):
        asyncio.set_event_loop(self.loop)
        self.server = self.loop.run_until_complete(asyncio.start_server(self._accept, host, 0))
        self.address = "%s:%d" % self.server.sockets[0].getsockname()[:2]
        started.set()
        self.loop.run_forever()

    def close(self):
        asyncio.run_coroutine_threadsafe(self._end(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()

    async def _end(self):
        self.server.close()
        others = asyncio.all_tasks(self.loop) - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _connect(self):
        backends = list(self.backends)
        self.turn += 1
        for i in range(len(backends)):
            host, port = backends[(self.turn + i) % len(backends)].rsplit(":", 1)
            try:
                return await asyncio.wait_for(asyncio.open_connection(host, int(port)), 1)
            except (OSError, asyncio.TimeoutError):
                continue
        return None

    async def _accept(self, reader, writer):
        backend = await self._connect()
        if backend is None:
            writer.close()
            return
        self.connections += 1
        try:
            await asyncio.gather(self._pump(reader, backend[1], self.rewrite), self._pump(backend[0], writer))
        except asyncio.CancelledError:
            pass

    @staticmethod
    async def _pump(reader, writer, rewrite=None):
        try:
            while data := await reader.read(1 << 17):
                writer.write(rewrite(data) if rewrite else data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()
