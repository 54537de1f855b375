"""Compares two sets of calls with SciPy: reads JSON on stdin, writes JSON.

In: {"base": {"calls", "errors", "durations"}, "other": {...}}, durations in nanoseconds. Latencies are compared by the
buckets of an OpenTelemetry exponential histogram of scale 5, whose bucket i holds values in (2^(i/32), 2^((i+1)/32)].
"""

import json
import math
import sys

from scipy.stats import binomtest, hypergeom, mannwhitneyu

asked = json.load(sys.stdin)
base, other = asked["base"], asked["other"]

# With the margins given, the errors of the other set are hypergeometric.
errors = base["errors"] + other["errors"]
table = hypergeom(base["calls"] + other["calls"], errors, other["calls"])
seen = table.pmf(other["errors"])
p_errors = 0.0
for x in range(max(0, errors - base["calls"]), min(errors, other["calls"]) + 1):
    p = table.pmf(x)
    if abs(p - seen) <= 1e-7 * seen:
        p_errors += p / 2
    elif p < seen:
        p_errors += p

# Newcombe's interval from two of Wilson's.
share = {}
for name, calls in asked.items():
    wilson = binomtest(calls["errors"], calls["calls"]).proportion_ci(0.95, method="wilson")
    share[name] = (calls["errors"] / calls["calls"], wilson.low, wilson.high)
(p1, l1, u1), (p2, l2, u2) = share["base"], share["other"]
effect = p2 - p1
low = effect - math.hypot(p2 - l2, u1 - p1)
high = effect + math.hypot(u2 - p2, p1 - l1)


def buckets(calls):
    return [math.ceil(math.log2(duration) * 32) - 1 for duration in calls["durations"]]


ranks = mannwhitneyu(buckets(other), buckets(base), use_continuity=False, method="asymptotic")
pairs = len(base["durations"]) * len(other["durations"])
print(json.dumps({
    "errors": {"p_value": p_errors, "effect": effect, "low": low, "high": high},
    "latency": {"p_value": ranks.pvalue, "effect": 2 * ranks.statistic / pairs - 1},
}))
