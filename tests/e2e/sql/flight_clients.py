"""Asks a meshlake over Arrow Flight SQL with ADBC and pyarrow, and checks the answers against HTTP's and arithmetic.

Usage: flight_clients.py FLIGHT_HOST:PORT HTTP_HOST:PORT. Prints `all of it` when everything was as it has to be.
"""

import datetime
import json
import sys
import threading
import time
import urllib.request

import adbc_driver_flightsql.dbapi as adbc
import adbc_driver_manager
import pyarrow as pa
import pyarrow.flight as flight

ENDLESS = "SELECT count(*) FROM spans a, spans b, spans c, spans d WHERE a.name || b.name || c.name <> d.name"
MILLION = 1_000_000

grpc, http = sys.argv[1:]


def connect(tenant="default"):
    return adbc.connect(
        f"grpc://{grpc}", db_kwargs={"adbc.flight.sql.rpc.call_header.x-scope-orgid": tenant}, autocommit=True
    )


def by_http(sql):
    request = urllib.request.Request(f"http://{http}/api/v1/sql?format=arrow", json.dumps({"sql": sql}).encode())
    with urllib.request.urlopen(request, timeout=60) as answer:
        return pa.ipc.open_stream(answer.read()).read_all()


def ask(connection, sql, parameters=None):
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetch_arrow_table()


def every_column_of_every_table(connection):
    tables = [name.as_py() for name in ask(connection, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")[0]]
    assert len(tables) > 8, tables
    for table in tables:
        sql = f"SELECT * FROM {table} ORDER BY time LIMIT 1"
        have, want = ask(connection, sql), by_http(sql)
        assert have.schema == want.schema, (table, have.schema, want.schema)
        views = [field for field in have.schema if "view" in str(field.type)]
        assert not views, (table, views)
        if table in ("spans", "requests", "metric_points", "ledger", "traces"):
            assert have.num_rows == 1, table
        # Rows that start at the same time have no order, so only a table's size is compared beside its columns.
        count = f"SELECT count(*) FROM {table}"
        assert ask(connection, count)[0][0] == by_http(count)[0][0], table
    everything = "SELECT * FROM spans ORDER BY span_id, trace_id LIMIT 500"
    assert ask(connection, everything).equals(by_http(everything))


def every_type_and_null(connection):
    sql = (
        "SELECT 1 AS i, CAST(1 AS SMALLINT) AS s, 1.5 AS d, TRUE AS b, 'x' AS t, CAST('1.25' AS DECIMAL(9, 2)) AS n, "
        "DATE '2026-11-29' AS day, TIMESTAMP '2026-11-29T01:02:03' AS at, [1, 2] AS l, "
        "map(['k'], ['v']) AS m, struct(1, 'y') AS st, CAST('ab' AS BYTEA) AS bin, NULL AS nothing, CAST(NULL AS BIGINT) AS none"
    )
    row = {name: column[0].as_py() for name, column in zip(ask(connection, sql).column_names, ask(connection, sql))}
    want = {
        "i": 1, "s": 1, "d": 1.5, "b": True, "t": "x", "day": datetime.date(2026, 11, 29),
        "at": datetime.datetime(2026, 11, 29, 1, 2, 3), "l": [1, 2], "m": [("k", "v")],
        "st": {"c0": 1, "c1": "y"}, "bin": b"ab", "nothing": None, "none": None,
    }
    assert str(row.pop("n")) == "1.25", row
    assert row == want, row


def parameters(connection):
    one = lambda sql, values: ask(connection, sql, values)[0][0].as_py()
    count = "SELECT count(*) FROM spans WHERE kind = {} AND name <> {}"
    want = by_http("SELECT count(*) FROM spans WHERE kind = 2 AND name <> 'x'")[0][0].as_py()
    assert want > 0
    assert one(count.format("$1", "$2"), (2, "x")) == want
    assert one(count.format("?", "?"), (2, "x")) == want
    assert one(count.format("$1", "$2"), (2, "x' OR 1=1 --")) == want
    assert one("SELECT count(*) FROM spans WHERE time > $1", (datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc),)) > 0
    assert one("SELECT count(*) FROM spans WHERE http_route IS NOT DISTINCT FROM $1", (None,)) > 0
    assert one("SELECT CAST($1 AS DOUBLE) * 2", (0.25,)) == 0.5
    with connection.cursor() as cursor:
        cursor.adbc_prepare("SELECT count(*) FROM spans WHERE kind = $1")
        sums = 0
        for kind in range(6):
            cursor.execute("SELECT count(*) FROM spans WHERE kind = $1", (kind,))
            sums += cursor.fetchone()[0]
    assert sums == by_http("SELECT count(*) FROM spans")[0][0].as_py(), "a prepared statement runs again and again"


def a_million_rows(connection):
    numbers = f"SELECT unnest(a) AS n FROM (SELECT [{','.join(map(str, range(1000)))}] AS a)"
    sql = (
        f"SELECT x.n * 1000 + y.n AS number, x.n AS a, y.n AS b, x.n + y.n AS c, x.n * y.n AS d, x.n % 7 AS e, "
        f"y.n % 5 AS f, CAST(x.n AS DOUBLE) AS g, x.n > y.n AS h, CAST(y.n AS INT) AS i FROM ({numbers}) x CROSS JOIN ({numbers}) y"
    )
    began = time.monotonic()
    answer = ask(connection, sql)
    took = time.monotonic() - began
    assert answer.num_rows == MILLION, answer.num_rows
    assert pa.compute.sum(answer["number"]).as_py() == MILLION * (MILLION - 1) // 2
    print(f"a million rows of ten columns: {took:.2f} s")


def errors(connection):
    for sql, word in [("SELEC 1", "SELEC"), ("DROP TABLE spans", "read-only"), ("SELECT x FROM spans", "x")]:
        try:
            ask(connection, sql)
        except adbc_driver_manager.Error as error:
            assert word in str(error) and "/tmp" not in str(error), (sql, error)
        else:
            raise AssertionError(sql)
    # It is cut in the midst of its rows, and never taken for whole.
    try:
        ask(connection, "SELECT a.span_id FROM spans a, spans b, spans c LIMIT 3000000")
    except adbc_driver_manager.Error as error:
        assert "2000000 rows" in str(error) or "bytes" in str(error), error
    else:
        raise AssertionError("more rows than the cap")


def tenants():
    with connect("nobody") as other:
        assert ask(other, "SELECT count(*) FROM spans")[0][0].as_py() == 0


def cancel():
    with connect() as connection, connection.cursor() as cursor:
        timer = threading.Timer(0.5, cursor.adbc_cancel)
        timer.start()
        try:
            cursor.execute(ENDLESS)
            cursor.fetchall()
        except adbc_driver_manager.Error as error:
            assert "cancel" in str(error).lower(), error
        else:
            raise AssertionError("an endless statement ended")
    client = flight.FlightClient(f"grpc://{grpc}")
    info = client.get_flight_info(flight.FlightDescriptor.for_command(statement(ENDLESS)))
    reader = client.do_get(info.endpoints[0].ticket)
    # CancelFlightInfoRequest and CancelFlightInfoResult by hand, as pyarrow has neither: field 1 is the information, and 1
    # in field 1 says that it was cancelled.
    (result,) = client.do_action(flight.Action("CancelFlightInfo", field(1, info.serialize())))
    assert result.body.to_pybytes() == b"\x08\x01", result.body.to_pybytes()
    try:
        reader.read_all()
    except (flight.FlightCancelledError, KeyboardInterrupt):
        # pyarrow takes a call that the server cancelled for a Ctrl-C of its own.
        pass
    else:
        raise AssertionError("a cancelled statement has an answer")


def statement(sql):
    """An Any with a CommandStatementQuery, by hand: pyarrow has no Flight SQL."""
    name = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"
    return field(1, name) + field(2, field(1, sql.encode()))


def field(number, data):
    return bytes([number << 3 | 2]) + varint(len(data)) + data


def varint(number):
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def metadata(connection):
    objects = connection.adbc_get_objects(depth="all").read_all().to_pylist()
    (catalog,) = objects
    (schema,) = catalog["catalog_db_schemas"]
    tables = {table["table_name"]: [c["column_name"] for c in table["table_columns"]] for table in schema["db_schema_tables"]}
    assert catalog["catalog_name"] == "meshlake" and schema["db_schema_name"] == "public", objects
    assert tables["spans"] == by_http("SELECT * FROM spans LIMIT 0").column_names, tables["spans"]
    assert connection.adbc_get_table_types() == ["TABLE"]
    info = connection.adbc_get_info()
    assert info["vendor_name"] == "Meshlake", info
    assert connection.adbc_get_table_schema("spans").names == tables["spans"]


with connect() as connection:
    every_column_of_every_table(connection)
    every_type_and_null(connection)
    parameters(connection)
    errors(connection)
    metadata(connection)
    a_million_rows(connection)
tenants()
cancel()
print("all of it")
