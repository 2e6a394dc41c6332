"""A Python index at /simple and an npm registry at /npm over TLS, as the public ones serve: validators on what changes, immutable files, signed hashes.
Each request is a line on the output: status, bytes and path.

    registry.py PORT CERTIFICATE KEY NAME WHEELS WHEEL_MB PACKAGES PACKAGE_KB

`pip install all` brings WHEELS wheels of WHEEL_MB, `npm install all` PACKAGES packages of PACKAGE_KB.
"""
import base64, hashlib, http.server, io, json, os, ssl, sys, tarfile, zipfile

port, certificate, key, name, wheels, wheel_mb, packages, package_kb = sys.argv[1:]
IMMUTABLE, CHANGING = "public, max-age=31536000, immutable", "public, max-age=0"
FILES = {}


def put(path, kind, control, body):
    FILES[path] = (kind, control, f'"{hashlib.sha256(body).hexdigest()[:32]}"', body)


def wheel(project, requires, size):
    body, info = io.BytesIO(), f"{project}-1.0.dist-info"
    files = {f"{project}/__init__.py": b"", f"{project}/data.bin": os.urandom(size),
             f"{info}/METADATA": (f"Metadata-Version: 2.1\nName: {project}\nVersion: 1.0\n" + "".join(f"Requires-Dist: {r}\n" for r in requires)).encode(),
             f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"]).encode()
    with zipfile.ZipFile(body, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    file, digest = f"{project}-1.0-py3-none-any.whl", hashlib.sha256(body.getvalue()).hexdigest()
    put(f"/packages/{digest[:2]}/{file}", "application/octet-stream", IMMUTABLE, body.getvalue())
    put(f"/simple/{project}/", "text/html", CHANGING, f'<!DOCTYPE html><html><body><a href="/packages/{digest[:2]}/{file}#sha256={digest}">{file}</a></body></html>'.encode())


def package(project, requires, size):
    body = io.BytesIO()
    manifest = {"name": project, "version": "1.0.0", "main": "index.js", "dependencies": {r: "^1.0.0" for r in requires}}
    with tarfile.open(fileobj=body, mode="w:gz", compresslevel=1) as archive:
        for path, content in {"package.json": json.dumps(manifest).encode(), "index.js": b"", "data.bin": os.urandom(size)}.items():
            entry = tarfile.TarInfo("package/" + path)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    file = f"/npm/{project}/-/{project}-1.0.0.tgz"
    manifest["dist"] = {"tarball": f"https://{name}{file}", "integrity": "sha512-" + base64.b64encode(hashlib.sha512(body.getvalue()).digest()).decode()}
    put(file, "application/octet-stream", IMMUTABLE, body.getvalue())
    put(f"/npm/{project}", "application/json", CHANGING, json.dumps({"name": project, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": manifest}}).encode())


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        found = FILES.get(self.path.replace("%2f", "/"))
        kind, control, tag, body = found or ("text/plain", "no-store", '""', b"")
        confirmed = found and self.headers.get("If-None-Match") == tag
        self.send_response(304 if confirmed else 200 if found else 404)
        for field, value in (("Cache-Control", control), ("ETag", tag), ("Content-Type", kind)):
            self.send_header(field, value)
        if not confirmed:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not confirmed:
            self.wfile.write(body)
        # In one piece: many threads write here.
        sys.stdout.write(f"{304 if confirmed else 200 if found else 404} {0 if confirmed else len(body)} {self.path}\n")
        sys.stdout.flush()

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def get_request(self):
        # The handshake belongs to the connection's own thread: over a slow line it takes its time.
        connection, address = super().get_request()
        return context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address


for n in range(int(wheels)):
    wheel(f"wheel{n}", [], int(wheel_mb) << 20)
wheel("all", [f"wheel{n}" for n in range(int(wheels))], 0)
for n in range(int(packages)):
    package(f"package{n}", [], int(package_kb) << 10)
package("all", [f"package{n}" for n in range(int(packages))], 0)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
print("serving", flush=True)
Server(("127.0.0.1", int(port)), Handler).serve_forever()
