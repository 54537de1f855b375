"""Asks every statement of a file over one wire and goes on, whatever comes.

Usage: ask.py postgres|postgres-simple|flight HOST:PORT FILE. Prints how many were answered, refused, and cut off. It fails where a
connection does not survive a statement, or takes longer than any may.
"""

import json
import sys
import time

wire, address, file = sys.argv[1:]
host, port = address.rsplit(":", 1)
# A time-out of two seconds, and what a build without optimisation under load takes to notice it.
SECONDS_MAX = 60
# A longer message ends a connection of PostgreSQL's protocol.
MESSAGE_BYTES_MAX = 1 << 20
# As many rows as are read of what is answered.
ROWS_MAX = 5_000
# What the last statement that was refused was told.
last_error = ""


def postgres():
    import psycopg

    def connect():
        return psycopg.connect(host=host, port=port, user="tester", dbname="default", autocommit=True)

    connection = connect()

    def ask(statement):
        global last_error
        nonlocal connection
        try:
            with connection.cursor() as cursor:
                for row, _ in zip(cursor.stream(statement.replace("\0", "")), range(ROWS_MAX)):
                    pass
            return "answered"
        except psycopg.Error as error:
            if len(statement) > MESSAGE_BYTES_MAX and connection.closed:
                connection = connect()
                return "refused"
            last_error = error
            assert not connection.closed, f"the connection is closed: {statement[:200]}: {error}"
            assert error.sqlstate != "XX000", f"a bug: {statement[:200]}: {error}"
            return "refused"

    return ask


def postgres_simple():
    import psycopg
    from psycopg.pq import DiagnosticField, ExecStatus

    def connect():
        return psycopg.connect(host=host, port=port, user="tester", dbname="default", autocommit=True)

    connection = connect()

    def ask(statement):
        global last_error
        nonlocal connection
        result = connection.pgconn.exec_(statement.replace("\0", "").encode())
        if len(statement) > MESSAGE_BYTES_MAX and connection.closed:
            connection = connect()
            return "refused"
        assert not connection.closed, f"the connection is closed: {statement[:200]}"
        if result.status in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
            return "answered"
        state = (result.error_field(DiagnosticField.SQLSTATE) or b"").decode()
        last_error = result.error_message
        assert state and state != "XX000", f"a bug: {statement[:200]}: {state} {result.error_message}"
        return "refused"

    return ask


def flight():
    import adbc_driver_flightsql.dbapi as adbc

    connection = adbc.connect(f"grpc://{address}", autocommit=True)

    def ask(statement):
        global last_error
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                cursor.fetchmany(ROWS_MAX)
            return "answered"
        except Exception as error:
            last_error = error
            assert "unavailable" not in str(error).lower() or "too many" in str(error), f"{statement[:200]}: {error}"
            return "refused"

    return ask


ask = {"postgres": postgres, "postgres-simple": postgres_simple, "flight": flight}[wire]()
counts = {}
for statement in json.load(open(file)):
    begun = time.monotonic()
    outcome = ask(statement)
    took = time.monotonic() - begun
    assert took < SECONDS_MAX, f"{took:.0f} s: {statement[:200]}"
    counts[outcome] = counts.get(outcome, 0) + 1
# What was stopped is over within moments, and its place free again.
deadline = time.monotonic() + SECONDS_MAX
while (outcome := ask("SELECT 1")) != "answered":
    assert time.monotonic() < deadline, f"nothing is answered any more: {outcome}: {last_error}"
assert counts.get("refused", 0) > 10, counts
print(json.dumps(counts))
