"""Looks at what `helm template` printed: made.py CONDITION < it. In the condition, `text` is the configuration, `config` what it says,
`grace` the time that a pod has to end, and `admin` where the listener is that probes ask."""

import sys

import yaml

parts = {part["kind"]: part for part in yaml.safe_load_all(sys.stdin) if part}
text = parts["ConfigMap"]["data"]["flitch.yaml"]
config = yaml.safe_load(text)
pod = parts["DaemonSet"]["spec"]["template"]["spec"]
grace = pod["terminationGracePeriodSeconds"]
environment = {one["name"]: one.get("value") for one in pod["containers"][0]["env"]}
admin = environment.get("FLITCH_ADMIN_LISTEN")
if not eval(sys.argv[1]):
    sys.exit(f"not so: {sys.argv[1]}\n{text}\n{pod}")
