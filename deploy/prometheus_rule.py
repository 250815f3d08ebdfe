"""`make prometheus-rule`: the rules of deploy/prometheus as the object that the Prometheus operator reads.

python deploy/prometheus_rule.py > deploy/kubernetes/monitoring/prometheus-rule.yaml
"""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

FOLDER = Path(__file__).parent / "prometheus"
HEAD = "# Made by `make prometheus-rule` from deploy/prometheus: change the rules there.\n"


class Readable(yaml.SafeDumper):
    """Expressions of several lines as they were written."""


Readable.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text.rstrip(), "|" if "\n" in text.rstrip() else None
    ),
)


def main() -> int:
    """Prints the object."""
    print(document(), end="")
    return 0


def document() -> str:
    """The object as YAML: recording rules first, as alerts stand on them."""
    files = [yaml.safe_load((FOLDER / name).read_text()) for name in ("recording.yml", "alerts.yml")]
    rule = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "anomaly-service", "labels": {"app.kubernetes.io/name": "anomaly-service"}},
        "spec": {"groups": [group for file in files for group in file["groups"]]},
    }
    return HEAD + yaml.dump(rule, Dumper=Readable, sort_keys=False, width=1000)


if __name__ == "__main__":
    sys.exit(main())
