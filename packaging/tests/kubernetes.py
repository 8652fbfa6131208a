"""Installs the chart in a real API server of Kubernetes, over an etcd, both on loopback, and looks at what it made of it:
kubernetes.py CHART VALUES, with kube-apiserver, etcd and helm in PATH. Each test becomes a line `ok` or `failed`, a tab and its
sentence on stdout; the reasons go to stderr. There is no kubelet and no controller, so no pod runs: pods are made from the template
as a controller makes them."""

import contextlib
import json
import os
import secrets
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.request

import yaml

CHART, VALUES = sys.argv[1:3]
TOKEN = secrets.token_hex()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running(log, *command):
    with open(log, "w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            yield process
        finally:
            process.terminate()
            process.wait()


class Server:
    def __init__(self, folder):
        self.folder = folder
        self.url = f"https://127.0.0.1:{free_port()}"
        self.config = os.path.join(folder, "kubeconfig")

    @contextlib.contextmanager
    def started(self):
        at = lambda name: os.path.join(self.folder, name)
        key = at("accounts.key")
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        with open(at("tokens"), "w") as tokens:
            tokens.write(f"{TOKEN},test,test,system:masters\n")
        clients, peers = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        etcd = ["etcd", f"--data-dir={at('etcd')}", f"--listen-client-urls={clients}", f"--advertise-client-urls={clients}"]
        etcd += [f"--listen-peer-urls={peers}", f"--initial-advertise-peer-urls={peers}", f"--initial-cluster=default={peers}"]
        api = ["kube-apiserver", f"--etcd-servers={clients}", f"--cert-dir={at('certificates')}", "--bind-address=127.0.0.1"]
        api += [f"--secure-port={self.url.rpartition(':')[2]}", f"--token-auth-file={at('tokens')}", "--authorization-mode=RBAC"]
        api += [f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}"]
        api += ["--service-account-issuer=https://localhost", "--service-cluster-ip-range=10.0.0.0/24"]
        with running(at("etcd.log"), *etcd), running(at("api.log"), *api) as process:
            for _ in range(600):
                with contextlib.suppress(OSError, AssertionError):
                    self.ask("GET", "/readyz")
                    break
                if process.poll() is not None:
                    sys.exit("kube-apiserver ended:\n" + open(at("api.log")).read()[-3000:])
                time.sleep(0.1)
            else:
                sys.exit("kube-apiserver is not ready:\n" + open(at("api.log")).read()[-3000:])
            with open(self.config, "w") as config:
                cluster = {"server": self.url, "certificate-authority": at("certificates/apiserver.crt")}
                user, context = {"token": TOKEN}, {"cluster": "test", "user": "test"}
                named = lambda kind, value: [{"name": "test", kind: value}]
                parts = dict(clusters=named("cluster", cluster), users=named("user", user), contexts=named("context", context))
                json.dump({"apiVersion": "v1", "kind": "Config", "current-context": "test", **parts}, config)
            yield

    def ask(self, method, path, body=None):
        """Its answer, and the warnings that it gave with it."""
        certificate = os.path.join(self.folder, "certificates/apiserver.crt")
        context = ssl.create_default_context(cafile=certificate)
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, context=context) as answer:
                text = answer.read()
                found = json.loads(text) if answer.headers.get_content_type() == "application/json" else text
                return found, answer.headers.get_all("Warning") or []
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from error

    def helm(self, *arguments):
        run = subprocess.run(
            ["helm", *arguments, "--namespace", "logs", "--kubeconfig", self.config], capture_output=True, text=True
        )
        print(run.stdout, run.stderr, file=sys.stderr)
        assert run.returncode == 0, run.stderr
        # Warnings of the server: a field that it does not know, one that is deprecated.
        assert "arning" not in run.stderr, run.stderr
        return run.stdout


def expect(sentence, test):
    result = "ok"
    try:
        test()
    except Exception:
        traceback.print_exc()
        result = "failed"
    print(f"{result}\t{sentence}", flush=True)


def main(server):
    sets = "/apis/apps/v1/namespaces/logs/daemonsets"

    def the_set():
        (found,) = server.ask("GET", sets)[0]["items"]
        return found

    def install():
        server.helm("install", "t", CHART, "--create-namespace")
        assert the_set()["metadata"]["name"] == "t-flitch", the_set()["metadata"]

    def keeps_all():
        # What it does not know it would leave out.
        rendered = server.helm("get", "manifest", "t")
        kinds = {"ConfigMap": "/api/v1/namespaces/logs/configmaps", "DaemonSet": sets}
        kinds["ServiceAccount"] = "/api/v1/namespaces/logs/serviceaccounts"
        documents = [document for document in yaml.safe_load_all(rendered) if document]
        assert {document["kind"] for document in documents} == set(kinds), documents
        for document in documents:
            kept, _ = server.ask("GET", f"{kinds[document['kind']]}/{document['metadata']['name']}")
            assert_within(document, kept, document["kind"])

    def pod():
        template = the_set()["spec"]["template"]
        metadata = dict(template["metadata"], name="t-flitch-x", namespace="logs")
        spec = dict(template["spec"], nodeName="node-7")
        made, warnings = server.ask("POST", "/api/v1/namespaces/logs/pods?fieldValidation=Strict", {"metadata": metadata, "spec": spec})
        assert not warnings, warnings
        (container,) = made["spec"]["containers"]
        mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
        assert "/var/run/secrets/kubernetes.io/serviceaccount" not in mounts, "it has a token for the cluster"
        server.ask("DELETE", "/api/v1/namespaces/logs/pods/t-flitch-x?gracePeriodSeconds=0")

    def upgrade():
        before = the_set()["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
        server.helm("upgrade", "t", CHART, "-f", VALUES)
        # With a name of its own it is another one, and the one before is gone.
        assert the_set()["metadata"]["name"] == "t-edge", the_set()["metadata"]
        assert the_set()["spec"]["template"]["metadata"]["annotations"]["checksum/config"] != before

    def rollback():
        server.helm("rollback", "t", "1")
        assert the_set()["metadata"]["name"] == "t-flitch", the_set()["metadata"]

    def uninstall():
        server.helm("uninstall", "t")
        for kind in ["/apis/apps/v1/namespaces/logs/daemonsets", "/api/v1/namespaces/logs/configmaps"]:
            left = [item["metadata"]["name"] for item in server.ask("GET", kind)[0]["items"]]
            assert not [name for name in left if name.startswith("t-")], left

    expect("the API server of Kubernetes takes the chart", install)
    expect("it keeps each field that the chart sets", keeps_all)
    expect("a pod of it is admitted to a node, without a token for the cluster", pod)
    expect("an upgrade to all of the chart's values is taken", upgrade)
    expect("a rollback has the first one back", rollback)
    expect("an uninstalled chart leaves nothing", uninstall)


def assert_within(wanted, kept, path):
    """Whether each value of the first is in the second."""
    if isinstance(wanted, dict):
        for name, value in wanted.items():
            # The server leaves out what is empty.
            if value not in (None, {}, [], ""):
                assert isinstance(kept, dict) and name in kept, f"{path}.{name} is not kept"
                assert_within(value, kept[name], f"{path}.{name}")
    elif isinstance(wanted, list):
        assert len(wanted) == len(kept), path
        for place, (value, other) in enumerate(zip(wanted, kept)):
            assert_within(value, other, f"{path}[{place}]")
    else:
        assert wanted == kept, f"{path}: {wanted!r} became {kept!r}"


with tempfile.TemporaryDirectory() as folder:
    server = Server(folder)
    with server.started():
        main(server)
