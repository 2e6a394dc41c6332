"""Two packages, "upper" which needs "lower", as each ecosystem's own tools make them, in the layout in which its registry serves them.

usage: packages.py DIRECTORY ADDRESS [ECOSYSTEM...]"""
import base64, gzip, hashlib, io, json, os, subprocess, sys, tarfile, zipfile

top, address, wanted = sys.argv[1], sys.argv[2], sys.argv[3:]


def write(path, content):
    path = os.path.join(top, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())


def read(path):
    with open(os.path.join(top, path), "rb") as file:
        return file.read()


def run(*words, directory="", **more):
    return subprocess.run(words, cwd=os.path.join(top, directory), check=True, stdout=subprocess.PIPE, **more).stdout


def packed(files):
    """A tar.gz."""
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as archive:
        for path, text in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return body.getvalue()


def zipped(files):
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return body.getvalue()


def npm():
    for name, needs in {"upper": {"lower": "^1.0.0"}, "lower": {}}.items():
        about = {"name": name, "version": "1.0.0", "main": "index.js", "dependencies": needs}
        text = "module.exports = 'installed';" if name == "lower" else "module.exports = require('lower');"
        content = packed({"package/package.json": json.dumps(about), "package/index.js": text})
        path = f"npm/{name}/-/{name}-1.0.0.tgz"
        about["dist"] = {"tarball": f"{address}/{path}", "integrity": "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode(),
                         "shasum": hashlib.sha1(content).hexdigest()}
        write(path, content)
        write(f"npm/{name}/index.json", json.dumps({"name": name, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": about},
                                                    "time": {"1.0.0": "2020-01-01T00:00:00.000Z"}}))


def go():
    for name, needs in {"upper": "\nrequire example.test/lower v1.0.0\n", "lower": ""}.items():
        at, module = f"go/example.test/{name}/@v", f"example.test/{name}"
        about = f"module {module}\n\ngo 1.18\n{needs}"
        write(f"{at}/list", "v1.0.0\n")
        write(f"{at}/v1.0.0.info", json.dumps({"Version": "v1.0.0", "Time": "2020-01-01T00:00:00Z"}))
        write(f"{at}/v1.0.0.mod", about)
        write(f"{at}/v1.0.0.zip", zipped({f"{module}@v1.0.0/go.mod": about, f"{module}@v1.0.0/a.go": f"package {name}\n"}))


def crates():
    write("crates/index/config.json", json.dumps({"dl": f"{address}/crates/api/v1/crates"}))
    for name, needs in {"upper": ["lower"], "lower": []}.items():
        manifest = f'[package]\nname = "{name}"\nversion = "1.0.0"\nedition = "2018"\n[dependencies]\n' + "".join(f'{n} = "1"\n' for n in needs)
        content = packed({f"{name}-1.0.0/Cargo.toml": manifest, f"{name}-1.0.0/src/lib.rs": ""})
        write(f"crates/files/{name}/{name}-1.0.0.crate", content)
        # Where the registry's own address for a download sends its clients.
        write(f"crates/api/v1/crates/{name}/1.0.0/download.moved", f"{address}/crates/files/{name}/{name}-1.0.0.crate")
        line = {"name": name, "vers": "1.0.0", "deps": [{"name": n, "req": "^1", "features": [], "optional": False, "default_features": True,
                "target": None, "kind": "normal"} for n in needs], "cksum": hashlib.sha256(content).hexdigest(), "features": {}, "yanked": False}
        write(f"crates/index/{name[:2]}/{name[2:4]}/{name}", json.dumps(line) + "\n")


def maven():
    def file(path, content):
        write(path, content)
        write(path + ".sha1", hashlib.sha1(read(path)).hexdigest())
    # Maven adds this one to whatever extends it.
    at = "maven/org/codehaus/plexus/plexus-utils/1.1/plexus-utils-1.1"
    file(f"{at}.jar", zipped({"META-INF/MANIFEST.MF": "Manifest-Version: 1.0\n"}))
    file(f"{at}.pom", "<project><modelVersion>4.0.0</modelVersion><groupId>org.codehaus.plexus</groupId><artifactId>plexus-utils</artifactId><version>1.1</version></project>")
    for name, needs in {"upper": "<dependencies><dependency><groupId>test.example</groupId><artifactId>lower</artifactId><version>1.0</version></dependency></dependencies>",
                        "lower": "", "parent": "<packaging>pom</packaging>"}.items():
        at = f"maven/test/example/{name}"
        file(f"{at}/1.0/{name}-1.0.pom", f"<project><modelVersion>4.0.0</modelVersion><groupId>test.example</groupId><artifactId>{name}</artifactId>"
             f"<version>1.0</version>{needs}</project>")
        if name != "parent":
            file(f"{at}/1.0/{name}-1.0.jar", zipped({"META-INF/MANIFEST.MF": "Manifest-Version: 1.0\n"}))
        file(f"{at}/maven-metadata.xml", f"<metadata><groupId>test.example</groupId><artifactId>{name}</artifactId><versioning><latest>1.0</latest>"
             "<release>1.0</release><versions><version>1.0</version></versions><lastUpdated>20200101000000</lastUpdated></versioning></metadata>")


def gem():
    versions = "created_at: 2020-01-01T00:00:00Z\n---\n"
    for name, needs in {"upper": ["lower"], "lower": []}.items():
        write(f"work/gem/lib/{name}.rb", f"puts 'installed {name}'\n")
        write(f"work/gem/{name}.gemspec", f"Gem::Specification.new {{ |s| s.name = '{name}'; s.version = '1.0.0'; s.summary = s.description = 'x'; s.authors = ['x']; "
              f"s.license = 'MIT'; s.homepage = 'https://example.test'; s.files = ['lib/{name}.rb']" + "".join(f"; s.add_dependency '{n}', '~> 1.0'" for n in needs) + " }\n")
        run("gem", "build", "-q", f"{name}.gemspec", "-o", os.path.join(top, f"work/{name}-1.0.0.gem"), directory="work/gem", stderr=subprocess.DEVNULL)
        content = read(f"work/{name}-1.0.0.gem")
        write(f"gem/gems/{name}-1.0.0.gem", content)
        info = "---\n1.0.0 " + ",".join(f"{n}:~> 1.0" for n in needs) + f"|checksum:{hashlib.sha256(content).hexdigest()}\n"
        write(f"gem/info/{name}", info)
        versions += f"{name} 1.0.0 {hashlib.md5(info.encode()).hexdigest()}\n"
    run("gem", "generate_index", "-q", "-d", os.path.join(top, "gem"))
    write("gem/versions", versions)
    write("gem/index.html", "gems")


def apt():
    for name, needs in {"upper": "Depends: lower\n", "lower": ""}.items():
        write(f"work/{name}/DEBIAN/control", f"Package: {name}\nVersion: 1.0\nArchitecture: all\nMaintainer: X <x@example.test>\n{needs}Description: x\n")
        os.makedirs(os.path.join(top, "apt/pool"), exist_ok=True)
        run("dpkg-deb", "--build", "--root-owner-group", os.path.join(top, f"work/{name}"), os.path.join(top, f"apt/pool/{name}_1.0_all.deb"))
    packages = ""
    for name in ("lower", "upper"):
        path = f"pool/{name}_1.0_all.deb"
        content = read("apt/" + path)
        control = read(f"work/{name}/DEBIAN/control").decode()
        packages += f"{control}Filename: {path}\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n\n"
    listed = {"main/binary-amd64/Packages": packages.encode(), "main/binary-amd64/Packages.gz": gzip.compress(packages.encode())}
    release = "Origin: x\nSuite: stable\nCodename: stable\nArchitectures: amd64\nComponents: main\nAcquire-By-Hash: yes\nDate: Wed, 01 Jan 2020 00:00:00 UTC\nSHA256:\n"
    for path, content in listed.items():
        digest = hashlib.sha256(content).hexdigest()
        release += f" {digest} {len(content)} {path}\n"
        write(f"apt/dists/stable/{path}", content)
        write(f"apt/dists/stable/main/binary-amd64/by-hash/SHA256/{digest}", content)
    keys = os.path.join(top, "work/keys")
    os.makedirs(keys, mode=0o700)
    gpg = ["gpg", "--homedir", keys, "--batch", "--pinentry-mode", "loopback", "--passphrase", ""]
    run(*gpg, "--quick-gen-key", "x@example.test", "ed25519", "sign", "never", stderr=subprocess.DEVNULL)
    write("work/archive.gpg", run(*gpg, "--export"))
    write("apt/dists/stable/InRelease", run(*gpg, "--clear-sign", input=release.encode()))
    subprocess.run(["gpgconf", "--homedir", keys, "--kill", "all"])


makers = {"npm": npm, "go": go, "crates": crates, "maven": maven, "gem": gem, "apt": apt}
for each in wanted or makers:
    makers[each]()
