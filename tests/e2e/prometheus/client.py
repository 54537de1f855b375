"""Asks the API of Prometheus at BASE by `prometheus-api-client`; TIME is that of the newest sample. Prints JSON."""

import datetime
import json
import sys

from prometheus_api_client import PrometheusConnect

base, newest = sys.argv[1], int(sys.argv[2])
client = PrometheusConnect(url=base)
start = datetime.datetime.fromtimestamp(newest - 60)
end = datetime.datetime.fromtimestamp(newest)
now = client.get_current_metric_value("queue_length")
jobs = client.custom_query_range("jobs_total", start_time=start, end_time=end, step="60")
aggregated = client.custom_query("sum(queue_length)", params={"time": newest})
print(
    json.dumps(
        {
            "is_connected": client.check_prometheus_connection(),
            "metrics": sorted(client.all_metrics()),
            "zones": client.get_label_values("zone"),
            "zone_is_a_label": "zone" in client.get_label_names(),
            "now": sorted([row["metric"]["zone"], row["value"][1]] for row in now),
            "range": jobs[0]["values"],
            "sum": aggregated[0]["value"][1],
        }
    )
)
