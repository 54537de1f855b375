"""Asks the same statements of a running meshlake and of DuckDB over the same files, and compares the values.

DuckDB reads the Parquet files that `deltalake` lists, as views of the tables' names. Statements are in blocks, separated
by empty lines; a block that begins a line with `-- duckdb:` has DuckDB's wording behind it, where the dialects differ. Rows
are compared in order where the statement ends with an ORDER BY, else as sets with repetition; doubles to nine digits.
Usage: compare.py TABLES_DIR http://HOST:PORT CASES. Prints every difference and ends with 1 if there is one.
"""

import collections
import datetime
import decimal
import json
import pathlib
import re
import sys
import urllib.error
import urllib.request

import deltalake
import duckdb
import pyarrow as pa

DIGITS = 9
DUCKDB = "-- duckdb:"


def cases(path):
    for block in re.split(r"\n\s*\n", pathlib.Path(path).read_text()):
        lines = [line for line in block.strip().splitlines() if not line.startswith("#")]
        if not lines:
            continue
        text = "\n".join(lines)
        ours, _, theirs = text.partition(DUCKDB)
        yield ours.strip().rstrip(";"), (theirs or ours).strip().rstrip(";")


def duckdb_over(directory):
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for path in sorted(pathlib.Path(directory).iterdir()):
        table = deltalake.DeltaTable(str(path))
        files = table.file_uris()
        if files:
            connection.from_parquet(files, hive_partitioning=True, union_by_name=True).create_view(path.name)
        else:
            # No row of it came: the same columns, and none of its rows.
            connection.register(path.name, pa.schema(table.schema().to_arrow()).empty_table())
    return connection


def ours(url, sql):
    body = json.dumps({"sql": sql}).encode()
    request = urllib.request.Request(f"{url}/api/v1/sql?format=arrow", body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return pa.ipc.open_stream(answer.read()).read_all()
    except urllib.error.HTTPError as error:
        raise ValueError(error.read().decode()) from None


def plain(value):
    """A value without what differs between the two in type alone."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, (int, float, decimal.Decimal)):
        if value != value:
            return "NaN"
        return int(value) if value == int(value) else float(f"{float(value):.{DIGITS}g}")
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).replace(tzinfo=None).isoformat() if value.tzinfo else value.isoformat()
    if isinstance(value, (datetime.date, datetime.time)):
        midnight = isinstance(value, datetime.date)
        return datetime.datetime.combine(value, datetime.time()).isoformat() if midnight else value.isoformat()
    if isinstance(value, list):
        if value and all(isinstance(entry, tuple) for entry in value):
            return sorted((plain(key), plain(entry)) for key, entry in value)
        return [plain(entry) for entry in value]
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    return value


def rows(table):
    columns = []
    for column in table.columns:
        if pa.types.is_timestamp(column.type):
            # To whole microseconds, which is what is stored.
            column = column.cast(pa.timestamp("us", column.type.tz))
        columns.append([plain(value) for value in column.to_pylist()])
    return [json.dumps(row, default=str) for row in zip(*columns)]


def differs(connection, url, our_sql, their_sql):
    have = rows(ours(url, our_sql))
    want = rows(connection.sql(their_sql).to_arrow_table())
    if not re.search(r"ORDER BY [^()]*$", our_sql, re.IGNORECASE):
        missing = collections.Counter(want) - collections.Counter(have)
        extra = collections.Counter(have) - collections.Counter(want)
        return None if have and not missing and not extra else f"missing {list(missing)[:3]}, extra {list(extra)[:3]}, {len(have)} rows"
    if not have:
        return "no rows: it compares nothing"
    for number, (row, wanted) in enumerate(zip(have, want)):
        if row != wanted:
            return f"row {number}: {row}, DuckDB {wanted}"
    return None if len(have) == len(want) else f"{len(have)} rows, DuckDB {len(want)}"


def main():
    directory, url, path = sys.argv[1:]
    connection = duckdb_over(directory)
    count = failed = 0
    for our_sql, their_sql in cases(path):
        count += 1
        try:
            difference = differs(connection, url, our_sql, their_sql)
        except (ValueError, duckdb.Error, pa.ArrowInvalid) as error:
            difference = str(error)
        if difference:
            failed += 1
            print(f"-- {count}: {our_sql}\n   {difference}\n")
    print(f"{count} statements, {failed} differ")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
