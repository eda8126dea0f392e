#!/usr/bin/env python3
"""A TCP server that says something ten times a second, whoever listens: chatter.py ADDRESS PORT."""
import asyncio
import sys


async def serve(_reader, writer):
    try:
        while True:
            writer.write(b"word\n")
            await writer.drain()
            await asyncio.sleep(0.1)
    except ConnectionError:
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, sys.argv[1], int(sys.argv[2]))
    async with server:
        await server.serve_forever()


asyncio.run(main())
