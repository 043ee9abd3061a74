#!/usr/bin/env python3
"""A TCP relay that delays every byte by half a round trip each way: a long link, on loopback.

    relay.py LISTEN_PORT TARGET_HOST:PORT ROUND_TRIP_MS      (port 0 = any; prints "port N")
"""

import asyncio
import sys


async def pump(reader, writer, delay):
    loop = asyncio.get_running_loop()
    queue = asyncio.Queue(maxsize=4096)

    async def deliver():
        while True:
            due, data = await queue.get()
            wait = due - loop.time()
            if wait > 0:
                await asyncio.sleep(wait)
            if data is None:
                writer.close()
                return
            writer.write(data)
            await writer.drain()

    task = asyncio.create_task(deliver())
    try:
        while data := await reader.read(1 << 18):
            await queue.put((loop.time() + delay, data))
    except ConnectionError:
        pass
    await queue.put((loop.time() + delay, None))
    try:
        await task
    except ConnectionError:
        pass


async def main():
    port, target, round_trip = int(sys.argv[1]), sys.argv[2], float(sys.argv[3]) / 1000
    host, target_port = target.rsplit(":", 1)

    async def accept(reader, writer):
        try:
            up_reader, up_writer = await asyncio.open_connection(host, int(target_port))
        except OSError:
            writer.close()
            return
        await asyncio.gather(pump(reader, up_writer, round_trip / 2), pump(up_reader, writer, round_trip / 2))

    server = await asyncio.start_server(accept, "127.0.0.1", port)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


asyncio.run(main())
