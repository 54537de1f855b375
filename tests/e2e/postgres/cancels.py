"""Statements stopped at random moments: each ends, soon, and its connection goes on.

Usage: cancels.py SPANS CANCELS SEED. Prints the longest time from a request to stop to the end of its statement, and how many took
longer than half a second, by statement.
"""

import random
import sys
import threading
import time

import psycopg

CANCELS, SEED = int(sys.argv[2]), int(sys.argv[3])
# How long one may take until it is called hanging.
DEADLINE_SECONDS = 60

STATEMENTS = [
    # A join that has no end, a sort that spills, an aggregate, rows on their way, and planning alone.
    "SELECT count(*) FROM spans a, spans b, spans c WHERE a.name <> b.trace_id",
    "SELECT a.span_id, b.span_id FROM spans a, spans b ORDER BY a.span_id || b.span_id",
    "SELECT count(DISTINCT a.span_id || b.span_id) FROM spans a, spans b",
    "SELECT a.* FROM spans a, spans b",
    "SELECT * FROM pg_class c, pg_attribute a, pg_attribute b WHERE a.attname <> b.attname",
]


def run(connection, statement, outcome):
    try:
        connection.execute(statement)
        outcome.append("ended")
    except psycopg.errors.QueryCanceled:
        outcome.append("stopped")
    except psycopg.Error as error:
        outcome.append(f"{type(error).__name__}: {error}")


chance = random.Random(SEED)
longest, late, outcomes = 0.0, {}, {}
with psycopg.connect(autocommit=True) as connection:
    for _ in range(CANCELS):
        outcome = []
        statement = chance.choice(STATEMENTS)
        thread = threading.Thread(target=run, args=(connection, statement, outcome), daemon=True)
        thread.start()
        thread.join(chance.uniform(0, 0.15))
        # One that comes before its statement stops nothing, here as in PostgreSQL; so it is sent again after a second.
        deadline = time.monotonic() + DEADLINE_SECONDS
        while thread.is_alive():
            assert time.monotonic() < deadline, f"{statement} was not stopped"
            begun = time.monotonic()
            connection.cancel()
            thread.join(1)
            took = time.monotonic() - begun if not thread.is_alive() else 0
            longest = max(longest, took)
            if took > 0.5:
                late[statement] = late.get(statement, 0) + 1
        outcomes[outcome[0]] = outcomes.get(outcome[0], 0) + 1
        assert connection.execute("SELECT 1").fetchone() == (1,)
print(f"longest {longest * 1000:.0f} ms, {sum(late.values())} longer than 500 ms {late or ''}", outcomes)
assert outcomes.get("stopped", 0) * 2 > CANCELS, outcomes
print("done")
