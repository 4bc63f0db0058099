"""The workshop's server: every row of the table `call`, as JSON.

    curl http://localhost:8080                      the rows
    curl http://localhost:8080 -d 'Hello you'       one more row, then the rows

Change this file as you like. In the box, `sudo systemctl restart docker-workshop` starts it anew.
"""

import errno
import json
import os
import pathlib
import signal
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg

PORT = 8080
LARGEST_BODY = 1024 * 1024


def password():
    """A secret password comes from systemd in a file of its own; the lab's is no secret."""
    secret = pathlib.Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nowhere"), "postgres-password")
    if secret.is_file():
        return secret.read_text(encoding="utf-8").rstrip("\r\n")
    return os.environ.get("POSTGRES_PASSWORD", "dockerworkshop")


def connect():
    """A new connection for each request, so that a database that was away does no lasting harm."""
    return psycopg.connect(
        # Docker sets these two in a container that is linked to one called `postgres`.
        host=os.environ.get("POSTGRES_PORT_5432_TCP_ADDR", "localhost"),
        port=os.environ.get("POSTGRES_PORT_5432_TCP_PORT", "5432"),
        dbname=os.environ.get("POSTGRES_DB", "dockerworkshop"),
        user=os.environ.get("POSTGRES_USER", "dockerworkshop"),
        password=password(),
        client_encoding="utf8",
        connect_timeout=3,
        options="-c statement_timeout=5000",
    )


def plain(value):
    """What JSON has no form for: a time, and whatever else a column holds after somebody changed its type."""
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def all_rows(connection):
    rows = connection.execute("SELECT id, created_at, payload FROM call ORDER BY id").fetchall()
    return {
        "count": len(rows),
        "rows": [{"id": i, "created_at": at, "payload": payload} for i, at, payload in rows],
    }


class Handler(BaseHTTPRequestHandler):
    timeout = 10  # seconds that a client may stay silent

    def do_GET(self):
        if self.path.split("?")[0] != "/":
            self.answer(404, {"error": "there is only /"})
            return
        try:
            with connect() as connection:
                state = all_rows(connection)
            self.answer(200, state)
        except psycopg.Error as error:
            self.answer(503, {"error": f"the database does not answer: {error}".strip()})

    do_HEAD = do_GET  # answer() leaves the body away

    def do_POST(self):
        if self.path.split("?")[0] != "/":
            self.refuse(404, "there is only /")
            return
        length = self.headers.get("Content-Length")
        if length is None or "Transfer-Encoding" in self.headers:
            self.refuse(411, "say with Content-Length how long the body is")
            return
        if not (length.isascii() and length.isdecimal()):
            self.refuse(400, "Content-Length is no number")
            return
        # No number as long as that is converted: Python would refuse to.
        if len(length) > 12 or int(length) > LARGEST_BODY:
            self.refuse(413, f"a body can have {LARGEST_BODY} bytes at most")
            return
        try:
            body = self.rfile.read(int(length))
        except TimeoutError:
            body = b""
        if len(body) < int(length):
            self.refuse(400, "the body ended before its Content-Length")
            return
        try:
            payload = body.decode("utf-8")
        except UnicodeDecodeError:
            self.answer(400, {"error": "the body is not UTF-8 text"})
            return
        if "\0" in payload:
            self.answer(400, {"error": "PostgreSQL stores no text with a NUL in it"})
            return
        try:
            with connect() as connection:
                # The value goes beside the SQL, never into it: nobody can write SQL into a payload.
                connection.execute("INSERT INTO call (payload) VALUES (%s)", (payload,))
                state = all_rows(connection)
            # Only here is the row stored for good: the end of `with` commits.
            self.answer(201, state)
        except psycopg.Error as error:
            self.answer(503, {"error": f"the database does not answer: {error}".strip()})

    def answer(self, status, document):
        body = (json.dumps(document, ensure_ascii=False, default=plain) + "\n").encode("utf-8")
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if status == 405:
            self.send_header("Allow", "GET, HEAD, POST")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status, reason):
        """Answers a request whose body is not wanted, and lets the client finish: it reads the answer after."""
        self.answer(status, {"error": reason})
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(1)
        try:
            for _ in range(256):
                if not self.rfile.read1(64 * 1024):
                    break
        except OSError:
            pass

    def send_error(self, code, message=None, explain=None):
        """Python's own errors as JSON as well. It calls a method that nobody defined 501."""
        code = 405 if code == 501 else code
        self.refuse(code, message or self.responses[code][0])

    def log_message(self, format, *args):
        print(self.client_address[0], format % args, file=sys.stderr)


class Server(ThreadingHTTPServer):
    """Answers on IPv6 and IPv4, or where there is no IPv6, on IPv4 alone."""

    request_queue_size = 128
    address_family = socket.AF_INET6

    def server_bind(self):
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def handle_error(self, request, client_address):
        if isinstance(sys.exc_info()[1], OSError):
            print(client_address[0], "went away", file=sys.stderr)
        else:
            super().handle_error(request, client_address)


def listen(port):
    try:
        return Server(("::", port), Handler)
    except OSError as error:
        if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            raise
    Server.address_family = socket.AF_INET
    return Server(("0.0.0.0", port), Handler)


def main():
    try:
        port = int(os.environ.get("PORT", PORT))
        server = listen(port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        sys.exit(
            f"Port {port} is in use. If the workshop's own service holds it, stop that first:\n"
            "    sudo systemctl stop docker-workshop"
        )
    # systemd and Docker end a program with SIGTERM.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f"Listening on port {port}: http://localhost:{port}", file=sys.stderr)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
