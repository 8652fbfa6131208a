"""Writes an OCI image layout as a tar file, of which skopeo, crane, docker and containerd take images:

image.py OUT VERSION CREATED ARCH=LAYER[,LAYER…]…

Each layer is a folder. The image has one manifest for each architecture. The same folders give the same bytes: names are
sorted, times are CREATED, and who owned the files here is left out.
"""

import hashlib
import io
import json
import os
import stat
import subprocess
import sys
import time

import tarfile

# Whom flitch runs as where nobody says otherwise: as in other images without a shell, and named in none of a host.
USER = 65532
# What is not root's: owner and mode.
OWN = {"var/lib/flitch": (USER, 0o750), "tmp": (0, 0o1777)}

out, version, created = sys.argv[1], sys.argv[2], int(sys.argv[3])
blobs = {}


def put(content, kind, **more):
    """Keeps a blob, and answers what describes it."""
    digest = hashlib.sha256(content).hexdigest()
    blobs[digest] = content
    return {"mediaType": kind, "digest": "sha256:" + digest, "size": len(content), **more}


def put_json(value, kind, **more):
    return put(json.dumps(value, sort_keys=True, separators=(",", ":")).encode(), kind, **more)


def entry(name, kind, mode, uid=0):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.mtime, info.uid, info.gid = kind, mode, created, uid, uid
    return info


def layer(folder):
    """A tar of all that lies in the folder."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        paths = [os.path.join(at, name) for at, folders, files in os.walk(folder) for name in folders + files]
        for path in sorted(paths):
            name = os.path.relpath(path, folder)
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                info = entry(name, tarfile.SYMTYPE, 0o777)
                info.linkname = os.readlink(path)
                tar.addfile(info)
            elif stat.S_ISDIR(mode):
                uid, mode = OWN.get(name, (0, 0o755))
                tar.addfile(entry(name, tarfile.DIRTYPE, mode, uid))
            else:
                with open(path, "rb") as file:
                    content = file.read()
                info = entry(name, tarfile.REGTYPE, 0o755 if mode & 0o111 else 0o644)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def compressed(tar):
    """By zstd, whose window holds all compiled plugins: they share much of their code, and take half of what gzip makes of them.
    One thread, since the bytes depend on how many there are."""
    return subprocess.run(["zstd", "-19", "--long=26", "--quiet", "--stdout"], input=tar, stdout=subprocess.PIPE, check=True).stdout


manifests = []
for argument in sys.argv[4:]:
    arch, _, folders = argument.partition("=")
    tars = [layer(folder) for folder in folders.split(",")]
    config = {
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(created)),
        "architecture": arch,
        "os": "linux",
        "config": {
            "User": f"{USER}:{USER}",
            "Env": ["PATH=/usr/bin", "FLITCH_COMPILED=/usr/lib/flitch/compiled"],
            "Entrypoint": ["/usr/bin/flitch"],
            "Cmd": ["run", "-c", "/etc/flitch/flitch.yaml"],
            "Volumes": {"/var/lib/flitch": {}},
            "WorkingDir": "/",
            "StopSignal": "SIGTERM",
            "Labels": {
                "org.opencontainers.image.title": "flitch",
                "org.opencontainers.image.version": version,
                "org.opencontainers.image.licenses": "Apache-2.0",
            },
        },
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(tar).hexdigest() for tar in tars]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": put_json(config, "application/vnd.oci.image.config.v1+json"),
        "layers": [put(compressed(tar), "application/vnd.oci.image.layer.v1.tar+zstd") for tar in tars],
    }
    size = sum(part["size"] for part in manifest["layers"])
    print(f"{arch}: {size / 1e6:.1f} MB compressed, of", *(f"{part['size'] / 1e6:.1f}" for part in manifest["layers"]))
    platform = {"architecture": arch, "os": "linux"}
    manifests.append(put_json(manifest, manifest["mediaType"], platform=platform))

index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json"}
# One architecture is named by itself: not every tool looks through an index for it.
if len(manifests) > 1:
    manifests = [put_json({**index, "manifests": manifests}, index["mediaType"])]
names = {"org.opencontainers.image.ref.name": version, "io.containerd.image.name": f"docker.io/library/flitch:{version}"}
manifests[0]["annotations"] = names
files = {
    "oci-layout": json.dumps({"imageLayoutVersion": "1.0.0"}).encode(),
    "index.json": json.dumps({**index, "manifests": manifests}, sort_keys=True).encode(),
    **{f"blobs/sha256/{digest}": blobs[digest] for digest in sorted(blobs)},
}
with tarfile.open(out, "w", format=tarfile.GNU_FORMAT) as tar:
    for folder in ("blobs", "blobs/sha256"):
        tar.addfile(entry(folder, tarfile.DIRTYPE, 0o755))
    for name, content in files.items():
        info = entry(name, tarfile.REGTYPE, 0o644)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
