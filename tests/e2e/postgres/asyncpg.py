"""asyncpg: everything prepared, everything in the binary format, cursors by portals, cancelling."""

import asyncio
import datetime
import os
import sys

import asyncpg

SPANS = int(sys.argv[1])


def same(found, wanted):
    assert found == wanted, f"{found!r} is not {wanted!r}"


async def main():
    where = dict(host=os.environ["PGHOST"], port=int(os.environ["PGPORT"]), user="tester", database="default")
    connection = await asyncpg.connect(**where)
    now = datetime.datetime.now(datetime.timezone.utc)
    later = now + datetime.timedelta(hours=1)
    count = "SELECT count(*) FROM spans WHERE "
    same(await connection.fetchval(count + "kind = $1", 2), SPANS)
    same(await connection.fetchval(count + "time < $1 AND is_proxy = $2", later, False), SPANS)
    same(await connection.fetchval(count + "service_name = ANY($1)", ["shop", "x"]), SPANS)
    same(await connection.fetchval(count + "kind = ANY($1)", [1, 2]), SPANS)
    same(await connection.fetchval(count + "date >= $1", now.date() - datetime.timedelta(days=1)), SPANS)
    same(await connection.fetchval(count + "adjusted_count > $1", 0.5), SPANS)
    same(await connection.fetchval(count + "time > now() - $1::interval", datetime.timedelta(days=1)), SPANS)
    row = await connection.fetchrow(
        "SELECT attributes, time, date, kind, duration_nano, is_proxy, adjusted_count, parent_span_id, name, "
        "ARRAY[1, NULL]::bigint[] AS list, 1.50::numeric(5, 2) AS number FROM spans LIMIT 1"
    )
    same((row["attributes"].startswith('{"test.number":'), row["time"].date(), row["kind"]), (True, row["date"], 2))
    same((row["duration_nano"], row["is_proxy"], row["adjusted_count"]), (1_000_000, False, 1.0))
    same((row["parent_span_id"], row["name"], row["list"], str(row["number"])), (None, "GET /", [1, None], "1.50"))
    # The driver asks what an array consists of, by a query that builds on its own rows.
    for expression, wanted in [
        ("ARRAY[0.5, NULL]::float8[]", [0.5, None]), ("ARRAY[true]", [True]), ("ARRAY[1, 2]::int[]", [1, 2]),
        ("'{}'::text[]", []), ("'{\"a\": [1]}'::jsonb", '{"a": [1]}'), ("'\\x00ff'::bytea", b"\x00\xff"),
        ("time '07:40:04.5'", datetime.time(7, 40, 4, 500000)), ("interval '1 day 2 s'", datetime.timedelta(days=1, seconds=2)),
        ("NULL", None), ("'int8'::regtype::oid", 20),
    ]:
        same((expression, await connection.fetchval(f"SELECT {expression}")), (expression, wanted))
    same(await connection.fetchval("SELECT $1::bytea", b"\x00\xff"), b"\x00\xff")
    for table in ["metric_points", "metric_histograms", "metric_exp_histograms", "metric_summaries", "logs", "requests"]:
        same(await connection.fetch(f"SELECT * FROM {table}"), [])
    # A statement that cannot be prepared is told of before the driver ends its messages.
    try:
        await connection.prepare("SELECT nope FROM spans")
    except asyncpg.UndefinedColumnError:
        pass
    async with connection.transaction():
        numbers = [int(row[0]) async for row in connection.cursor("SELECT attributes['test.number'] FROM spans", prefetch=1000)]
    same(sorted(numbers), list(range(SPANS)))
    # A statement that is stopped leaves a connection that goes on.
    endless = "SELECT count(*) FROM spans a, spans b, spans c WHERE a.name <> b.trace_id"
    for _ in range(20):
        try:
            await connection.fetch(endless, timeout=0.05)
        except asyncio.TimeoutError:
            pass
        else:
            raise AssertionError("it was not stopped")
        same(await connection.fetchval("SELECT 1"), 1)
    await connection.reset()
    await connection.close()


asyncio.run(main())
print("done")
