#!/usr/bin/env python3
"""docs/metrics.md is what the tables say; the dashboard and the rules of packaging/ name metrics that exist, and each alert has its line in docs/operations.md.

    test_metrics_document.py PROGRAM ROOT            the tests
    test_metrics_document.py PROGRAM ROOT --write    writes the document
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cases import run_tests
from waits import HANG_S

PROGRAM, ROOT = sys.argv[1], pathlib.Path(sys.argv[2])
DOCUMENT = ROOT / "docs/metrics.md"
RULES = ROOT / "packaging/prometheus/snugd.rules.yml"
DASHBOARD = ROOT / "packaging/grafana/snugd.json"
NAME = re.compile(r"\b(?:memcached|snug|process)_[a-z0-9_]+")


def tables():
    return subprocess.run([PROGRAM], capture_output=True, text=True, check=True, timeout=HANG_S).stdout


def metrics():
    """Of each name its type."""
    found = {}
    for name, kind in re.findall(r"^\| `(\w+)[^`]*` \| (\w+) \|", tables(), re.M):
        assert found.setdefault(name, kind) == kind, name
    return found


def unknown(text):
    known = set()
    for name, kind in metrics().items():
        known |= {name} if kind != "histogram" else {name + end for end in ("_bucket", "_sum", "_count")}
    return sorted(set(NAME.findall(text)) - known)


def expressions(panels):
    for panel in panels:
        yield from (target["expr"] for target in panel.get("targets", []))
        yield from expressions(panel.get("panels", []))


def test_the_document_is_what_the_tables_say():
    assert DOCUMENT.read_text() == tables(), f"{sys.argv[0]} {PROGRAM} {ROOT} --write mends it"


def test_names_say_what_they_count():
    for name, kind in metrics().items():
        assert (kind == "counter") == name.endswith("_total"), (name, kind)


def test_the_dashboard_names_metrics_that_exist():
    dashboard = json.loads(DASHBOARD.read_text())
    found = list(expressions(dashboard["panels"]))
    assert len(found) > 20 and unknown("\n".join(found)) == [], unknown("\n".join(found))
    assert unknown("rate(snug_no_such_metric_total[5m])") == ["snug_no_such_metric_total"]


def test_the_rules_name_metrics_that_exist():
    found = re.findall(r"^ +expr: (.*)$", RULES.read_text(), re.M)
    assert len(found) > 5 and all(NAME.search(expression) for expression in found) and unknown("\n".join(found)) == [], unknown("\n".join(found))


def test_each_alert_has_a_line_of_what_to_do():
    text = (ROOT / "docs/operations.md").read_text()
    alerts = re.findall(r"^ +- alert: (\w+)$", RULES.read_text(), re.M)
    assert sorted(alerts) == sorted(re.findall(r"^\| `(Snugd\w+)` \|", text, re.M)) and len(alerts) == len(set(alerts)) > 5, alerts


def test_promtool_takes_the_rules():
    if shutil.which("promtool") is None:
        print("promtool is not installed (Debian's package prometheus): its check is left out")
        return
    done = subprocess.run(["promtool", "check", "rules", str(RULES)], capture_output=True, text=True, timeout=HANG_S)
    assert done.returncode == 0, done.stdout + done.stderr


if "--write" in sys.argv:
    DOCUMENT.write_text(tables())
else:
    sys.exit(run_tests(globals()))
