"""Real TLS on both sides: servers that say their name, and the clients that people use."""
import os
import socket
import ssl
import subprocess
import threading

from harness import Failed, STEP_TIMEOUT, scratch

PATIENCE = 4 * STEP_TIMEOUT  # they do arithmetic


def make_certificate(directory):
    """(certificate, key) of a self-signed one."""
    cert, key = os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=example",
                    "-addext", "subjectAltName=DNS:a.example,DNS:b.example", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    return cert, key


class TlsTarget(threading.Thread):
    """Answers one HTTP request over TLS, on a target's listening socket, with who it is and what the
    client asked for."""

    def __init__(self, target, number, cert, key):
        super().__init__(daemon=True)
        self.listening, self.number, self.asked = target.sock, number, None
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(cert, key)
        self.context.set_alpn_protocols(["http/1.1"])
        self.context.sni_callback = lambda _sock, name, _context: setattr(self, "asked", name)
        self.start()

    def run(self):
        try:
            self.listening.settimeout(PATIENCE)
            raw = self.listening.accept()[0]
            raw.settimeout(PATIENCE)
            with self.context.wrap_socket(raw, server_side=True) as sock:
                data = b""
                while b"\r\n\r\n" not in data:
                    part = sock.recv(4096)
                    if not part:
                        return
                    data += part
                body = f"target {self.number} for {self.asked}\n".encode()
                sock.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
                             % len(body) + body)
                sock.unwrap()
        except OSError:
            pass  # the client's step says what is missing


def asks(name, number, command):
    """`command(name, address, port, cert)` gets an answer of target `number`, who was asked for
    `name`."""
    def step(run):
        with scratch("tls") as directory:
            cert, key = make_certificate(directory)
            target = TlsTarget(run.targets[number], number, cert, key)
            text = command(name, run.address, run.port, cert)
            target.join(PATIENCE)
            if f"target {number} for {name}\n" not in text:
                raise Failed(f"the answer is {text!r}")
    return step


def run_program(*words, stdin=""):
    done = subprocess.run(words, input=stdin, text=True, capture_output=True, timeout=PATIENCE,
                          check=False)
    return done.stdout + done.stderr


def curl(name, address, port, cert):
    return run_program("curl", "-sS", "--cacert", cert, "--resolve", f"{name}:{port}:{address}",
                       f"https://{name}:{port}/")


def s_client(*options):
    def command(name, address, port, cert):
        # Its standard input stays open until the answer is here.
        with subprocess.Popen(["openssl", "s_client", "-connect", f"{address}:{port}", "-servername",
                               name, "-CAfile", cert, "-verify_return_error", "-quiet", *options],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True) as process:
            try:
                process.stdin.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                process.stdin.flush()
                return process.stdout.read()
            finally:
                process.kill()
    return command


def python(name, address, port, cert):
    context = ssl.create_default_context(cafile=cert)
    with socket.create_connection((address, port), PATIENCE) as raw, \
            context.wrap_socket(raw, server_hostname=name) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        data = b""
        while part := sock.recv(4096):
            data += part
        return data.decode()
