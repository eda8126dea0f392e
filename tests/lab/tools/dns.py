#!/usr/bin/env python3
"""A name server, by UDP: dns.py ANSWER ADDRESS PORT. Every name has the address ANSWER; one that
begins with "wait-N." takes N seconds, and "whoami." is the address of who asks. Over TCP it only lets people in, for health checks."""
import asyncio
import socket
import struct
import sys

def answer(query, address):
    """The response to a query with one question for an address."""
    end = query.index(b"\0", 12) + 5
    record = struct.pack("!HHHIH", 0xc00c, 1, 1, 60, 4) + socket.inet_aton(address)
    return query[:2] + struct.pack("!5H", 0x8180, 1, 1, 0, 0) + query[12:end] + record


class Server(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        label = data[13:13 + data[12]]
        delay = int(label[5:]) if label.startswith(b"wait-") else 0
        asyncio.get_running_loop().call_later(
            delay, self.transport.sendto,
            answer(data, addr[0] if label == b"whoami" else sys.argv[1]), addr)


async def main():
    host, port = sys.argv[2], int(sys.argv[3])
    await asyncio.get_running_loop().create_datagram_endpoint(Server, (host, port))
    server = await asyncio.start_server(lambda _, writer: writer.close(), host, port)
    async with server:
        await server.serve_forever()


asyncio.run(main())
