#!/usr/bin/env python3
"""A TCP server that says its name and then echoes: stands for a database."""
import asyncio
import sys


async def serve(reader, writer):
    try:
        writer.write(sys.argv[1].encode() + b"\n")
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, sys.argv[2], int(sys.argv[3]), backlog=1024)
    async with server:
        await server.serve_forever()


asyncio.run(main())
