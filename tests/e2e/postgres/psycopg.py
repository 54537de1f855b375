"""psycopg 3: values of every type both ways, prepared statements, cursors of the server, COPY, errors, transactions."""

import datetime
import decimal
import sys

import psycopg
from psycopg import errors

SPANS = int(sys.argv[1])
UTC = datetime.timezone.utc


def same(found, wanted):
    assert found == wanted, f"{found!r} is not {wanted!r}"


def fails(connection, error, statement, parameters=None):
    try:
        connection.execute(statement, parameters)
    except error as raised:
        return raised
    raise AssertionError(f"{statement} did not fail")


VALUES = [
    ("1::smallint", 1),
    ("-2::int", -2),
    ("3::bigint", 3),
    ("0.5::real", 0.5),
    ("-1e300::float8", -1e300),
    ("12.50::numeric(10,2)", decimal.Decimal("12.50")),
    ("true", True),
    ("'é\n'", "é\n"),
    ("''", ""),
    ("NULL", None),
    ("date '2026-11-29'", datetime.date(2026, 11, 29)),
    ("timestamptz '2026-11-29 07:40:04.25+01'", datetime.datetime(2026, 11, 29, 6, 40, 4, 250000, UTC)),
    ("timestamp '2026-11-29 07:40:04'", datetime.datetime(2026, 11, 29, 7, 40, 4)),
    ("time '07:40:04.5'", datetime.time(7, 40, 4, 500000)),
    ("interval '1 day 2 s'", datetime.timedelta(days=1, seconds=2)),
    ("'\\x00ff'::bytea", None),
    ("ARRAY[1, NULL, 3]", [1, None, 3]),
    ("ARRAY['a', 'b c', NULL]", ["a", "b c", None]),
]


def values(connection):
    for binary in (False, True):
        for expression, wanted in VALUES:
            if "bytea" in expression:
                continue
            row = connection.cursor(binary=binary).execute(f"SELECT {expression}").fetchone()
            same((binary, expression, row[0]), (binary, expression, wanted))
        columns = "attributes, events, resource, time, parent_span_id, date, attributes['test.number']"
        row = connection.cursor(binary=binary).execute(
            f"SELECT {columns} FROM spans WHERE attributes['test.number'] = '7'"
        ).fetchone()
        same(row[0]["test.number"], "7")
        same(row[1], [])
        same((row[3].tzinfo is not None, row[4], row[5] == row[3].date(), row[6]), (True, None, True, "7"))


def parameters(connection):
    now = datetime.datetime.now(UTC)
    cases = [
        ("kind = %s", (2,), SPANS),
        ("kind > %s", (1.5,), SPANS),
        ("kind = %s", (decimal.Decimal(2),), SPANS),
        ("kind = %s", (None,), 0),
        ("service_name = %s", ("shop",), SPANS),
        ("service_name = %s", ("' OR true --",), 0),
        ("is_proxy = %s", (False,), SPANS),
        ("time < %s", (now + datetime.timedelta(hours=1),), SPANS),
        ("time > now() - %s", (datetime.timedelta(days=1, seconds=0.5),), SPANS),
        ("TIME '01:02:03' < %s", (datetime.time(1, 2, 3, 4),), SPANS),
        ("date >= %s", ((now - datetime.timedelta(days=1)).date(),), SPANS),
        ("service_name = ANY(%s)", (["shop", "other"],), SPANS),
        ("kind = ANY(%s)", ([1, 2],), SPANS),
        ("attributes['test.number'] IN (%s, %s)", ("1", "2"), 2),
    ]
    for prepare in (False, True):
        for condition, given, wanted in cases:
            found = connection.execute(
                f"SELECT count(*) FROM spans WHERE {condition}", given, prepare=prepare
            ).fetchone()
            same((condition, found), (condition, (wanted,)))
    rows = connection.execute("SELECT name FROM spans LIMIT %s", (3,)).fetchall()
    same(len(rows), 3)
    # Prepared once, run often.
    for number in range(20):
        same(connection.execute("SELECT %s::int + 1", (number,), prepare=True).fetchone(), (number + 1,))


def cursors(connection):
    statement = "SELECT attributes['test.number']::int FROM spans WHERE kind = %s"
    for size in (1, 7, 1000, SPANS, SPANS + 1):
        if size == 1 and SPANS > 5000:
            continue
        with connection.transaction(), connection.cursor(name="pages") as cursor:
            cursor.itersize = size
            cursor.execute(statement, (2,))
            same((size, sorted(number for number, in cursor)), (size, list(range(SPANS))))
    for binary in (False, True):
        with connection.transaction(), connection.cursor(name="binary", binary=binary) as cursor:
            cursor.execute("SELECT kind, time, attributes FROM spans LIMIT 3")
            kind, time, attributes = cursor.fetchall()[-1]
            same((kind, time.tzinfo is not None, list(attributes)), (2, True, ["test.number"]))
    with connection.transaction(), connection.cursor(name="part") as cursor:
        cursor.execute(statement, (2,))
        same(len(cursor.fetchmany(10)), 10)
    fails(connection, errors.NoActiveSqlTransaction, "DECLARE c CURSOR FOR SELECT 1")
    with connection.transaction():
        connection.execute("DECLARE c NO SCROLL CURSOR FOR SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3")
        same(connection.execute("MOVE 1 FROM c").statusmessage, "MOVE 1")
        same(len(connection.execute("FETCH ALL FROM c").fetchall()), 2)
        same(connection.execute("FETCH NEXT FROM c").fetchall(), [])
        connection.execute("CLOSE c")


def copies(connection):
    for form in ("text", "csv", "binary"):
        with connection.cursor().copy(f"COPY (SELECT kind, name FROM spans LIMIT 2) TO STDOUT (FORMAT {form})") as copy:
            data = b"".join(bytes(part) for part in copy)
        if form == "binary":
            # Signature, two rows of two columns (4 and 5 bytes of values), trailer.
            same((data[:11], len(data)), (b"PGCOPY\n\xff\r\n\0", 19 + 2 * (2 + 4 + 4 + 4 + 5) + 2))
        else:
            same(data, {"text": b"2\tGET /\n2\tGET /\n", "csv": b"2,GET /\n2,GET /\n"}[form])


def failures(connection):
    raised = fails(connection, errors.SyntaxError, "SELECT 1 FRM spans x y")
    same(raised.diag.statement_position is not None, True)
    fails(connection, errors.UndefinedColumn, "SELECT nope FROM spans")
    fails(connection, errors.UndefinedTable, "SELECT * FROM nope")
    fails(connection, errors.UndefinedFunction, "SELECT nope(1)")
    fails(connection, errors.DivisionByZero, "SELECT 1 / (kind - 2) FROM spans")
    fails(connection, errors.ReadOnlySqlTransaction, "DROP TABLE spans")
    fails(connection, errors.InvalidTextRepresentation, "SELECT * FROM spans WHERE kind = %s::int", ("x",))
    same(connection.execute("SELECT 1").fetchone(), (1,))


def transactions(connection):
    connection.execute("BEGIN")
    fails(connection, errors.UndefinedColumn, "SELECT nope FROM spans")
    fails(connection, errors.InFailedSqlTransaction, "SELECT 1")
    same(connection.execute("COMMIT").statusmessage, "ROLLBACK")
    connection.execute("BEGIN")
    connection.execute("SAVEPOINT a")
    fails(connection, errors.UndefinedColumn, "SELECT nope FROM spans")
    connection.execute("ROLLBACK TO SAVEPOINT a")
    same(connection.execute("SELECT 1").fetchone(), (1,))
    same(connection.execute("COMMIT").statusmessage, "COMMIT")
    connection.execute("SET LOCAL application_name = 'gone'")
    connection.execute("SET application_name = 'kept'")
    same(connection.info.parameter_status("application_name"), "kept")
    connection.execute("DISCARD ALL")


def timeouts(connection):
    connection.execute("SET statement_timeout = '50ms'")
    fails(connection, errors.QueryCanceled, "SELECT count(*) FROM spans a, spans b, spans c WHERE a.name <> b.trace_id")
    connection.execute("RESET statement_timeout")
    same(connection.execute("SELECT 1").fetchone(), (1,))


with psycopg.connect(autocommit=True) as connection:
    for check in (values, parameters, cursors, copies, failures, transactions, timeouts):
        check(connection)
print("done")
