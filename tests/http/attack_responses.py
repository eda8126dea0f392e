"""One response of a target, however malformed, to one request, and what the client makes of it."""
import select
import socket

from harness import Failed, show
from messages import fwd, req
from rig import Exchange, Rig, answer_to, pieces
from strict import read_request_head, read_requests, read_response

NEXT = b"/next"


class ResponseRig(Rig):
    def reply(self, method, payload, segments):
        """What the client sees of `payload`. It asks again on the same connection if that is still
        there, and must get an answer of its own from a target's connection that is clean."""
        exchange, spoiled = Exchange(), set()
        interim, final, rest, end = read_response(payload, method, True)
        whole = end == "all" and final.framing != "close"

        def respond(connection, _):
            if not read_requests(connection.said).messages:
                return
            connection.said = b""
            if rest or not whole:
                spoiled.add(connection.number)
            self.send(connection.sock, pieces(payload, segments) if payload else [])
            if not whole:
                connection.sock.shutdown(socket.SHUT_WR)

        def settled():
            got = read_response(exchange.client, method, False)
            return got[1] and got[3] == "all"

        client = self.connect()
        self.poll.register(client, select.POLLIN)
        try:
            self.respond = respond
            self.send(client, [req(b"/", method=method)])
            self.wait(client, exchange, settled)
            self.respond = None
            if not exchange.end:
                self.ask_next(client, exchange, spoiled)
        finally:
            self.respond = None
            self.poll.unregister(client)
            client.close()
        while self.turn(exchange, timeout=0):
            pass
        return exchange

    def ask_next(self, client, exchange, spoiled):
        first, exchange.client, exchange.target = exchange.client, b"", []
        self.send(client, [req(NEXT)])
        wanted = answer_to(self.n_answers + 1, read_request_head(fwd(NEXT)))
        self.wait(client, exchange, lambda: len(exchange.client) >= len(wanted))
        if exchange.client != wanted:
            raise Failed(f"the next request got {show(exchange.client)}")
        if exchange.target_bytes() != fwd(NEXT) or exchange.target[0][0] in spoiled:
            raise Failed(f"the next request went as {show(exchange.target_bytes())} on a connection "
                         "that had said too much")
        exchange.client = first


def is_bad_gateway(message):
    return message and message.status == 502 and message.values(b"content-type") == [b"text/plain"]


def require_row(exchange, method, outcome):
    kind, data = outcome
    got = exchange.client
    interim, final, rest, end = read_response(got, method, exchange.end == "fin")
    if kind in ("relayed", "closing"):
        if got != data:
            raise Failed(f"the client got {show(got)} instead of {show(data)}")
        if (exchange.end == "fin") != (kind == "closing"):
            raise Failed(f"the client's connection ended: {exchange.end}")
        return
    if kind == "cut" and not is_bad_gateway(final):
        if not data.startswith(got) or (exchange.end == "fin" and end == "all"):
            raise Failed(f"the client got {show(got)}, then {exchange.end}")
        return
    expected = data if kind == "bad_gateway" else b""
    if not is_bad_gateway(final) or rest or exchange.end or not got.startswith(expected + b"HTTP/1.1 502"):
        raise Failed(f"the client got {show(got)}, then {exchange.end}")
