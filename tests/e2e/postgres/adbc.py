"""ADBC's driver: COPY in the binary format, straight into Arrow."""

import os
import sys

import adbc_driver_postgresql.dbapi

SPANS = int(sys.argv[1])


def same(found, wanted):
    assert found == wanted, f"{found!r} is not {wanted!r}"


uri = f"postgresql://tester@{os.environ['PGHOST']}:{os.environ['PGPORT']}/default"
with adbc_driver_postgresql.dbapi.connect(uri) as connection, connection.cursor() as cursor:
    cursor.execute("SELECT kind, name, time, is_proxy, adjusted_count, parent_span_id, date FROM spans")
    rows = cursor.fetchall()
    same((len(rows), rows[0][:2], rows[0][3:6]), (SPANS, (2, "GET /"), (False, 1.0, None)))
    same({row[2].date() == row[6] for row in rows}, {True})
    cursor.execute("SELECT count(*) FROM spans WHERE kind = $1", (2,))
    same(cursor.fetchall(), [(SPANS,)])
print("done")
