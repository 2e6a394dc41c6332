"""A registry and a store by digest, over plain HTTP: blobs.py DIRECTORY ADDRESS PORT LOG. Answers HEAD and GET, with ranges, and PUT, of any path whose
end names a file of DIRECTORY; each request is a line of LOG: method, status, bytes that were sent or taken, name.
"""
import http.server
import os
import pathlib
import re
import sys
import threading

directory, address, port, log = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), open(sys.argv[4], "a", buffering=1, encoding="ascii")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def name(self):
        return self.path.rsplit("/", 1)[1].removeprefix("sha256:")

    def tell(self, status, count):
        # In one piece: many threads write here.
        log.write(f"{self.command} {status} {count} {self.name()}\n")

    def do_HEAD(self):
        self.answer(False)

    def do_GET(self):
        self.answer(True)

    def answer(self, with_body):
        try:
            file = open(directory / self.name(), "rb")
        except FileNotFoundError:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            self.tell(404, 0)
            return
        with file:
            size = os.fstat(file.fileno()).st_size
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            start, end = (int(asked[1]), int(asked[2] or size - 1) + 1) if asked else (0, size)
            self.send_response(206 if asked else 200)
            if asked:
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
            for field in (("Content-Length", end - start), ("Content-Type", "application/octet-stream"), ("ETag", f'"{self.name()}"'), ("Accept-Ranges", "bytes")):
                self.send_header(field[0], str(field[1]))
            self.end_headers()
            sent = 0
            try:
                while with_body and start < end and (count := os.sendfile(self.connection.fileno(), file.fileno(), start, min(end - start, 1 << 18))):
                    start, sent = start + count, sent + count
            finally:
                self.tell(206 if asked else 200, sent)

    def do_PUT(self):
        left = length = int(self.headers["Content-Length"])
        new = directory / f"{self.name()}.{threading.get_ident()}"
        with open(new, "wb") as file:
            while left and (piece := self.rfile.read(min(left, 1 << 18))):
                file.write(piece)
                left -= len(piece)
        if left:
            new.unlink()
            self.close_connection = True
            return
        new.rename(directory / self.name())
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.tell(201, length)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):  # a client that has gone
            super().handle_error(request, client_address)


Server((address, port), Handler).serve_forever()
