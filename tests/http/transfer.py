"""Long bodies: both ends at once, with checksums, and with a reader that does not read."""
import hashlib
import select
import time

from harness import STEP_TIMEOUT, Failed, show

CHUNK = 1 << 16


def pattern(n):
    """Bytes that repeat only after a prime number, so that a lost or doubled block shows."""
    block = bytes(i * i % 251 for i in range(65521))
    return (block * (n // len(block) + 1))[:n]


def copy(source, sink, data, n=None):
    """`source` sends `data` while `sink` receives n bytes (as many, if not told). Returns them."""
    n = len(data) if n is None else n
    got = bytearray(sink.ahead[:n])
    sink.ahead = sink.ahead[n:]
    view = memoryview(data)
    source.sock.setblocking(False)
    while len(view) or len(got) < n:
        writers = [source.sock] if len(view) else []
        readers = [sink.sock] if len(got) < n else []
        readable, writable, _ = select.select(readers, writers, [], STEP_TIMEOUT)
        if not readable and not writable:
            raise Failed(f"stuck: {len(view)} bytes not sent, {len(got)} of {n} received")
        if writable:
            view = view[source.sock.send(view[:CHUNK]):]
        if readable:
            piece = sink.sock.recv(min(CHUNK, n - len(got)))
            if not piece:
                raise Failed(f"the end after {len(got)} of {n} bytes")
            got += piece
    source.sock.setblocking(True)
    return bytes(got)


def require_equal(got, expected):
    if hashlib.sha256(got).digest() != hashlib.sha256(expected).digest():
        at = next(i for i in range(len(expected)) if got[i:i + 1] != expected[i:i + 1])
        raise Failed(f"differs at byte {at} of {len(expected)}: {show(got[at:at + 40])}")


def client_to_backend(run, n, before=b"", seen=b""):
    """`before` is sent first and must be seen as `seen`, then n bytes follow as they are."""
    data = pattern(n)
    client = run.client("c")
    client.send(before)
    backend = run.backend("b")
    backend.require(seen)
    require_equal(copy(client, backend, data), data)


def backend_to_client(run, n, before=b"", got=b""):
    data = pattern(n)
    client, backend = run.client("c"), run.backend("b")
    backend.send(before)
    client.require(got)
    require_equal(copy(backend, client, data), data)


def push(end, data):
    """Sends until nothing was taken for a while; returns what was not."""
    end.sock.setblocking(False)
    view, quiet_since = memoryview(data), time.monotonic()
    while len(view) and time.monotonic() - quiet_since < 0.3:
        if select.select([], [end.sock], [], 0.05)[1]:
            view = view[end.sock.send(view[:CHUNK]):]
            quiet_since = time.monotonic()
    end.sock.setblocking(True)
    return view


def slow_client(run, ask, seen=None, head=b""):
    """The target sends 64 MiB while the client does not read: it must be stopped long before its
    end, not kept in memory. Then the client reads, and all of it is right."""
    data = head + pattern(64 << 20)
    client = run.client("c")
    client.send(ask)
    backend = run.backend("b")
    backend.require(ask if seen is None else seen)
    left = push(backend, data)
    if len(left) < 16 << 20:
        raise Failed(f"{len(data) - len(left)} bytes were taken for a client that does not read")
    require_equal(copy(backend, client, left, len(data)), data)


def slow_backend(run, n, before=b"", seen=b""):
    """The client sends n bytes while the target does not read: it must be stopped long before its
    end. Then the target reads."""
    data = pattern(n)
    client = run.client("c")
    client.send(before)
    backend = run.backend("b")
    backend.require(seen)
    left = push(client, data)
    if len(left) < n // 4:
        raise Failed(f"{n - len(left)} bytes were taken for a target that does not read")
    require_equal(copy(client, backend, left, n), data)


def eager_client(run, ask, seen):
    """A client that pipelines 64 MiB of requests while its first one waits must be stopped, too."""
    data = ask * ((64 << 20) // len(ask))
    client = run.client("c")
    left = push(client, data)
    run.backend("b").require(seen)
    if len(left) < 16 << 20:
        raise Failed(f"{len(data) - len(left)} bytes of requests were taken before one was served")
