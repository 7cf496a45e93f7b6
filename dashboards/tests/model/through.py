"""Reads dashboards through the model that Grafana generates, and writes what is left of them: files in, a line of JSON for each out."""

import json
import sys

from grafana_foundation_sdk.cog import encoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import dashboard

# Without them, panels' options would be passed on unread.
register_default_plugins()
for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        read = dashboard.Dashboard.from_json(json.load(file))
    print(encoder.JSONEncoder(sort_keys=True).encode(read))
