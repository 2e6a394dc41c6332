"""What agents work with, over https on port 443: an npm registry at /npm, a Python index at /simple and a git repository at /repo.git, all served as
the world does it; the repository once more at /private.git, for those who send a password. Each request is a line on the output: status and path.

usage: packages.py CERTIFICATE KEY NAME"""
import base64, hashlib, http.server, io, json, os, ssl, subprocess, sys, tarfile, urllib.parse, zipfile

certificate, key, name = sys.argv[1:]
GIT = dict(os.environ, GIT_PROJECT_ROOT="/srv/git", GIT_HTTP_EXPORT_ALL="1", GIT_AUTHOR_NAME="a", GIT_AUTHOR_EMAIL="a@b", GIT_COMMITTER_NAME="a",
           GIT_COMMITTER_EMAIL="a@b")


def tarball(manifest):
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as archive:
        for path, text in {"package.json": json.dumps(manifest), "index.js": "module.exports = 'installed';"}.items():
            entry = tarfile.TarInfo("package/" + path)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return body.getvalue()


def packument(package, dependencies):
    manifest = {"name": package, "version": "1.0.0", "main": "index.js", "dependencies": dependencies}
    content = tarball(manifest)
    archive = f"/npm/{package}/-/{package.split('/')[-1]}-1.0.0.tgz"
    manifest["dist"] = {
        "tarball": f"https://{name}{archive}",
        "integrity": "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode(),
    }
    described = {"name": package, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": manifest}}
    return {f"/npm/{package}": json.dumps(described).encode(), archive: content}


def project(package, requires):
    """A wheel, and the page that links to it (PEP 503)."""
    body, info = io.BytesIO(), f"{package}-1.0.dist-info"
    files = {f"{package}.py": "what = 'installed'\n",
             f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n" + "".join(f"Requires-Dist: {r}\n" for r in requires),
             f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(body, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    wheel, digest = f"{package}-1.0-py3-none-any.whl", hashlib.sha256(body.getvalue()).hexdigest()
    page = f'<!DOCTYPE html><html><body><a href="/packages/{digest[:2]}/{wheel}#sha256={digest}">{wheel}</a></body></html>'
    return {f"/simple/{package}/": page.encode(), f"/packages/{digest[:2]}/{wheel}": body.getvalue()}


FILES = project("upper", ["lower"]) | project("lower", []) | packument("left", {"@types/right": "^1.0.0"}) | packument("@types/right", {}) | packument("unseen", {})


def make_repository():
    def git(*words, directory="/srv/work"):
        subprocess.run(["git", "-C", directory, *words], check=True, env=GIT, stdout=sys.stderr)
    os.makedirs("/srv/work")
    os.makedirs("/srv/git")
    git("init", "-q", "-b", "main")

    def commit(text, *then):
        with open("/srv/work/file", "w") as file:
            file.write(text)
        git("add", "file")
        git("commit", "-q", "-m", text)
        for words in then:
            git(*words)
    commit("first", ["tag", "v1"])
    commit("cloned")
    # What a clone of the main branch does not bring: another branch, and a tag that is on none.
    git("checkout", "-q", "-b", "feature")
    commit("of the feature")
    git("checkout", "-q", "--detach", "main")
    commit("of nobody", ["tag", "-a", "-m", "x", "loose"])
    git("checkout", "-q", "main")
    git("clone", "-q", "--bare", "/srv/work", "/srv/git/repo.git")
    os.symlink("repo.git", "/srv/git/private.git")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = urllib.parse.unquote(self.path.split("?")[0])
        if path.startswith("/private.git/") and self.headers.get("Authorization") != "Basic " + base64.b64encode(b"user:geheim").decode():
            return self.answer(401, {"WWW-Authenticate": 'Basic realm="private"'}, b"")
        if path.startswith(("/repo.git/", "/private.git/")):
            return self.git(path)
        if path not in FILES:
            return self.answer(404, {"Content-Type": "application/json"}, b"{}")
        # As the public registries: a validator for each, and a lifetime for none.
        tag = '"' + hashlib.sha256(FILES[path]).hexdigest()[:16] + '"'
        fields = {"ETag": tag, "Content-Type": "text/html" if path.startswith("/simple/") else "application/json" if path.startswith("/npm/") and not path.endswith(".tgz")
                  else "application/octet-stream"}
        same = self.headers.get("If-None-Match") == tag
        self.answer(304 if same else 200, fields, b"" if same else FILES[path])

    do_POST = do_GET

    def git(self, path):
        """CGI (RFC 3875) with git's own server."""
        length = int(self.headers.get("Content-Length") or 0)
        environment = dict(GIT, REQUEST_METHOD=self.command, PATH_INFO=path, QUERY_STRING=self.path.partition("?")[2], REMOTE_ADDR="x",
                           CONTENT_TYPE=self.headers.get("Content-Type", ""), CONTENT_LENGTH=str(length),
                           HTTP_CONTENT_ENCODING=self.headers.get("Content-Encoding", ""), GIT_PROTOCOL=self.headers.get("Git-Protocol", ""))
        done = subprocess.run(["git", "http-backend"], input=self.rfile.read(length), env=environment, stdout=subprocess.PIPE, check=True)
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.answer(int(fields.pop("Status", "200").split()[0]), fields, body)

    def log_request(self, code="-", size="-"):
        print(code, self.path, flush=True)

    def answer(self, status, fields, body):
        self.send_response(status)
        for field, value in fields.items():
            self.send_header(field, value)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


make_repository()
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server = http.server.ThreadingHTTPServer(("", 443), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True)
print("serving", flush=True)
server.serve_forever()
