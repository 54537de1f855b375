"""DuckDB's extension for PostgreSQL: tables attached, read by COPY in the binary format."""

import os
import sys

import duckdb
import duckdb_extension_postgres_scanner as extension

SPANS = int(sys.argv[1])


def same(found, wanted):
    assert found == wanted, f"{found!r} is not {wanted!r}"


connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
directory = os.path.join(os.path.dirname(extension.__file__), "extensions", f"v{duckdb.__version__}")
connection.execute(f"LOAD '{directory}/postgres_scanner.duckdb_extension'")
where = f"host={os.environ['PGHOST']} port={os.environ['PGPORT']} user=tester dbname=default"
connection.execute(f"ATTACH '{where}' AS meshlake (TYPE postgres, READ_ONLY)")


def asked(sql):
    return connection.execute(sql).fetchall()


kinds = dict(asked("SELECT column_name, column_type FROM (DESCRIBE meshlake.metric_histograms)"))
same((kinds["bucket_counts"], kinds["sum"], kinds["time"]), ("BIGINT[]", "DOUBLE", "TIMESTAMP WITH TIME ZONE"))
same(asked("SELECT count(*), count(DISTINCT attributes), min(name), count(parent_span_id) FROM meshlake.public.spans"), [(SPANS, SPANS, "GET /", 0)])
same(asked("SELECT kind, is_proxy, count(*) FROM meshlake.spans WHERE service_name = 'shop' AND duration_nano > 5 GROUP BY ALL"), [(2, False, SPANS)])
same(asked("SELECT count(*) FROM meshlake.metric_histograms"), [(0,)])
same(len(asked("SELECT * EXCLUDE (ingest_time, time) FROM meshlake.spans LIMIT 3")), 3)
same(asked("SELECT * FROM postgres_query('meshlake', 'SELECT 1 AS a, name FROM spans LIMIT 1')"), [(1, "GET /")])
print("done")
