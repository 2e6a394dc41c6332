"""What package managers ask for: documents that are fresh, documents that have to be confirmed, the files of one installation; and blobs that are here
under another address."""
import json
import os
import time

import clients as c
import rig as r

FILES, FILE_BYTES, DOCUMENT_VERSIONS = 200, 4096, 400
ACCEPT = "application/vnd.npm.install-v1+json"


class Packages:
    """Each measurement takes the figures of one program."""

    def __init__(self, rig, seconds):
        self.rig, self.seconds = rig, seconds
        self.copies = 0
        self.top = rig.work / "www" / "npm"
        for folder in ("fresh", "confirmed"):
            (self.top / folder).mkdir(parents=True)
            (self.top / folder / "left").write_text(json.dumps({"name": "left", "versions": {
                f"1.0.{n}": {"dist": {"integrity": "sha512-" + os.urandom(64).hex(), "tarball": f"https://{r.ORIGIN}/npm/left/-/left-1.0.{n}.tgz"}}
                for n in range(DOCUMENT_VERSIONS)}}))
        self.files = [f"/npm/p{n}/-/p{n}-1.0.0.tgz" for n in range(FILES)]
        for path in self.files:
            file = rig.work / "www" / path[1:]
            file.parent.mkdir(parents=True)
            file.write_bytes(os.urandom(FILE_BYTES))

    def packument(self, name):
        """A document of some 100 KB, while it is fresh, and where its origin says each time that it is the same."""
        return self.documents("packument_fresh", name, "fresh") | self.documents("packument_confirmed", name, "confirmed")

    def documents(self, line, name, folder):
        address, server = c.url(name, f"/npm/{folder}/left"), self.rig.servers[name]
        c.hey(name, address, 1, 0.2, "-A", ACCEPT)
        before = server.cpu()
        rate, answers = c.hey(name, address, 32, self.seconds, "-A", ACCEPT)
        return {line: rate, f"{line}_cpu": (server.cpu() - before) / answers * 1000}

    def install(self, name):
        """The files of one installation, of a client that has 16 requests on their way: their second time."""
        addresses = [c.url(name, path) for path in self.files]
        self.fetch(name, addresses)
        begun = time.perf_counter()
        self.fetch(name, addresses)
        return {"install": (time.perf_counter() - begun) * 1000}

    def fetch(self, name, addresses):
        out = r.run("curl", "-sS", "--fail", "--http1.1", "-Z", "--parallel-max", "16", "--cacert", self.rig.work / "tls/all.pem", *c.proxy(name),
                    "-w", "%{size_download}\\n", *(a for u in addresses for a in ("-o", "/dev/null", u)))
        if out.split() != [str(FILE_BYTES)] * FILES:
            raise SystemExit(f"{name}: not all of {FILES} files came")

    def proof(self, name):
        """The large blob from an address that nobody has asked for: its body is here, and its origin is asked whether it has it, too."""
        self.copies += 1
        (self.rig.work / "www" / "v2" / f"copy-{self.copies}").symlink_to("bench")
        path = self.rig.large.replace("/bench/", f"/copy-{self.copies}/")
        return {"proof": c.curl(self.rig, [c.url(name, path)], self.rig.blob_bytes, "--http1.1", *c.proxy(name)) / 1e9}
