"""What is linked into an executable: sbom.py ASSETS ARCH VERSION OUTPUT writes a bill of materials (CycloneDX 1.6) and prints where each licence lies.

ASSETS is the list of packages that the restore left (project.assets.json) for that architecture; what the linker took from Debian is asked of dpkg.
"""
import glob
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as xml

# Tools of the build that leave nothing in the executable.
TOOLS = {"microsoft.net.illink.tasks", "microsoft.dotnet.ilcompiler"}
LINKED = ["libc6-dev", "libssl-dev", "zlib1g-dev"]


def package(folders, name, version):
    """A NuGet package as a component, and the files of its licence."""
    directory = next(d for d in (os.path.join(f, name.lower(), version.lower()) for f in folders) if os.path.isdir(d))
    data = xml.parse(glob.glob(directory + "/*.nuspec")[0]).getroot()
    metadata = {re.sub("{.*}", "", e.tag): e for e in data[0]}
    licence = metadata.get("license")
    component = {"type": "library", "name": name, "version": version, "purl": f"pkg:nuget/{name}@{version}", "bom-ref": f"{name}@{version}"}
    if licence is not None and licence.get("type") == "expression":
        component["licenses"] = [{"expression": licence.text}]
    else:
        component["licenses"] = [{"license": {"name": f"see licenses/{name}.txt"}}]
    files = [f for f in sorted(glob.glob(directory + "/*")) if re.match(r"(licen[cs]e|third.?party.?notices|notice)", os.path.basename(f), re.I)]
    if not files and component["licenses"][0].get("expression") is None:
        sys.exit(f"error: {directory} holds no licence and names none")
    return component, files


def linked(name, arch):
    """A Debian package whose archive is linked in."""
    version = subprocess.run(["dpkg-query", "-W", "-f=${Version}\n", f"{name}:{arch}"], check=True, capture_output=True, text=True).stdout.split()[0]
    purl = f"pkg:deb/debian/{name}@{version}?arch={arch}"
    return {"type": "library", "name": name, "version": version, "purl": purl, "bom-ref": purl, "licenses": [{"license": {"name": f"see licenses/{name}.txt"}}]}, [f"/usr/share/doc/{name}/copyright"]


def main(assets, arch, version, output):
    with open(assets, encoding="utf-8") as file:
        restored = json.load(file)
    rid = {"amd64": "linux-x64", "arm64": "linux-arm64"}[arch]
    target = next(t for name, t in restored["targets"].items() if name.endswith(rid))
    wanted = {tuple(key.split("/")) for key in target}
    for framework in restored["project"]["frameworks"].values():
        wanted |= {(d["name"], d["version"].strip("[]").split(",")[0]) for d in framework["downloadDependencies"] if d["name"].endswith(rid)}
    wanted = sorted((name, number) for name, number in wanted if name.lower() not in TOOLS and not name.startswith("runtime."))
    found = [package(restored["packageFolders"], *key) for key in wanted] + [linked(name, arch) for name in LINKED]
    bill = {
        "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "metadata": {"component": {"type": "application", "name": "discobot", "version": version, "bom-ref": "discobot", "licenses": [{"expression": "MIT"}]}},
        "components": [component for component, _ in found],
        "dependencies": [{"ref": "discobot", "dependsOn": [component["bom-ref"] for component, _ in found]}],
    }
    with open(output, "w", encoding="utf-8") as file:
        json.dump(bill, file, indent=2)
        file.write("\n")
    for component, files in found:
        for licence in files:
            print(f"{component['name']}\t{licence}")
        if not files:
            print(f"{component['name']}\t={component['licenses'][0]['expression']}")


main(*sys.argv[1:])
