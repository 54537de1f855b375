"""Asks meshlake, DuckDB and chDB the same questions about the same Parquet files, and says how long each took.

Usage: sql_speed.py --binary MESHLAKE --data-dir DIR [--times N] [--requests N] [--rows-out N] [--result FILE]

DIR is what `meshlake-bench size --signal tracegen` has left: ten million spans in files. Access logs of some of
their traces are imported into it first, once. DuckDB and chDB have two threads; meshlake's plans have all cores but
one, as they come. A question is asked once for warmth and then so many times; the median counts. Where the three do
not answer alike the run ends. Rows out are timed by Flight SQL and by psql, and of PostgreSQL by psql where
MESHLAKE_BENCH_POSTGRES is the connection string of one, whose table `spans` is made anew. Needs duckdb, chdb,
deltalake, pyarrow and adbc-driver-flightsql of PyPI.
"""

import argparse
import atexit
import json
import os
import pathlib
import platform
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request

THREADS = 2
START_SECONDS_MAX = 120
COLUMNS_OUT = (
    "trace_id, span_id, parent_span_id, name, service_name, kind, status_code, time_unix_nano, duration_nano, outcome"
)
# What an access log of Envoy is told to write, and what is imported of it.
LOG_FORMAT = (
    '{"start_time":"%START_TIME%","method":"%REQ(:METHOD)%","path":"%REQ(:PATH)%",'
    '"response_code":"%RESPONSE_CODE%","duration":"%DURATION%","trace_id":"%TRACE_ID%"}'
)


def questions(trace, key, value):
    minute = "CAST(floor(time_unix_nano / 60000000000.0) AS BIGINT)"
    errors = "sum(CASE WHEN outcome = 'error' THEN 1 ELSE 0 END)"
    attribute = f"SELECT count(*) FROM {{spans}} WHERE attributes['{key}'] = "
    return [
        ("golden by service", f"SELECT service_name, count(*), {errors}, max(duration_nano) FROM {{spans}} GROUP BY 1"),
        ("golden by service and minute", f"SELECT service_name, {minute}, count(*), {errors} FROM {{spans}} GROUP BY 1, 2"),
        ("span self-join", "SELECT p.service_name, c.service_name, count(*) FROM {spans} c JOIN {spans} p "
                           "ON c.trace_id = p.trace_id AND c.parent_span_id = p.span_id GROUP BY 1, 2"),
        ("trace by id", f"SELECT span_id, duration_nano FROM {{spans}} WHERE trace_id = '{trace}'"),
        ("attribute, 1 in 10,000", f"{attribute}'{value}'"),
        ("attribute, none", f"{attribute}'val_none'"),
        ("10 slowest", "SELECT duration_nano FROM {spans} ORDER BY duration_nano DESC LIMIT 10"),
        ("distinct services", "SELECT DISTINCT service_name FROM {spans}"),
        ("requests with their spans", "SELECT r.response_code, count(*), max(s.duration_nano) FROM {requests} r "
                                      "JOIN {spans} s ON r.trace_id = s.trace_id GROUP BY 1"),
    ]


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports


class Server:
    """`meshlake run` on the directory, on ports of its own; ends with its own signal."""

    def __init__(self, binary, data_dir):
        http, self.postgres, self.flight, *others = free_ports(6)
        self.url = f"http://127.0.0.1:{http}"
        keys = ["QUERY__HTTP", "QUERY__POSTGRES", "QUERY__FLIGHT_SQL", "COLLECTOR__OTLP_GRPC", "COLLECTOR__OTLP_HTTP", "ADMIN__HTTP"]
        ports = [http, self.postgres, self.flight, *others]
        settings = {key: f"127.0.0.1:{port}" for key, port in zip(keys, ports)}
        settings |= {"QUERY__ROWS_MAX": "2000000", "QUERY__TIMEOUT_SECONDS": "300"}
        environment = os.environ | {f"MESHLAKE_{key}": value for key, value in settings.items()}
        self.process = subprocess.Popen([binary, "run", "--data-dir", data_dir], env=environment,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                self.rows("SELECT 1")
                return
            except OSError:
                assert self.process.poll() is None and time.monotonic() < deadline, "the server does not start"
                time.sleep(0.1)

    def rows(self, sql):
        import pyarrow as pa

        request = urllib.request.Request(f"{self.url}/api/v1/sql?format=arrow", sql.encode(), {"content-type": "text/plain"})
        with urllib.request.urlopen(request, timeout=300) as answer:
            table = pa.ipc.open_stream(answer.read()).read_all()
        return list(zip(*(column.to_pylist() for column in table.columns))) if table.num_rows else []

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


def files_of(data_dir, table):
    import deltalake

    return [uri.removeprefix("file://") for uri in deltalake.DeltaTable(f"{data_dir}/tables/{table}").file_uris()]


def import_requests(binary, data_dir, count):
    """Access logs of the first `count` roots, once."""
    import duckdb

    if pathlib.Path(data_dir, "tables/requests").exists() and files_of(data_dir, "requests"):
        return
    roots = duckdb.from_parquet(files_of(data_dir, "spans")).filter("parent_span_id IS NULL").project("trace_id, time, duration_nano")
    lines = pathlib.Path(data_dir).with_suffix(".log")
    with lines.open("w") as log:
        for trace, start, nanos in roots.order("trace_id").limit(count).fetchall():
            code = 503 if int(trace[-2:], 16) % 97 == 0 else 200
            log.write(json.dumps({"start_time": start.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), "method": "GET", "path": "/x",
                                  "response_code": str(code), "duration": str(nanos // 1_000_000), "trace_id": trace}, separators=(",", ":")) + "\n")
    command = [binary, "import", "--data-dir", data_dir, "--service", "tracegen", "--format", LOG_FORMAT, str(lines)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    lines.unlink()
    # What is imported is in files once a server has stopped.
    Server(binary, data_dir).stop()


def engines(server, data_dir):
    """Each by name: what asks a statement, with the tables in its own words."""
    import chdb.session
    import duckdb

    files = {table: files_of(data_dir, table) for table in ("spans", "requests")}
    duck = duckdb.connect(config={"threads": THREADS})
    for table, paths in files.items():
        duck.from_parquet(paths, union_by_name=True).create_view(table)
    house = chdb.session.Session()
    # It takes one pattern of names, and no list.
    links = pathlib.Path(tempfile.mkdtemp(prefix="sql-speed-"))
    atexit.register(shutil.rmtree, links)
    for table, paths in files.items():
        (links / table).mkdir()
        for number, path in enumerate(paths):
            (links / table / f"{number}.parquet").symlink_to(pathlib.Path(path).resolve())
    parquet = {table: f"file('{links}/{table}/*.parquet', Parquet)" for table in files}

    def ask_house(sql):
        text = house.query(f"{sql.format(**parquet)} SETTINGS max_threads = {THREADS}, schema_inference_make_columns_nullable = 1",
                           "JSONCompactEachRow").bytes().decode()
        return [tuple(json.loads(line)) for line in text.splitlines()]

    plain = {table: table for table in files}
    return {
        "meshlake": lambda sql: server.rows(sql.format(**plain)),
        "DuckDB": lambda sql: duck.execute(sql.format(**plain)).fetchall(),
        "chDB": ask_house,
    }


def same(rows):
    return sorted(tuple("" if cell is None else str(cell) for cell in row) for row in rows)


def median_ms(ask, times):
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        ask()
        taken.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(taken)


def compared(server, data_dir, times):
    trace = server.rows("SELECT trace_id FROM spans WHERE parent_span_id IS NULL ORDER BY 1 LIMIT 1")[0][0]
    sample = f"SELECT map_keys(attributes)[1], map_values(attributes)[1] FROM spans WHERE trace_id = '{trace}' AND cardinality(attributes) > 0 ORDER BY span_id LIMIT 1"
    key, value = server.rows(sample)[0]
    asked = engines(server, data_dir)
    lines = []
    for label, sql in questions(trace, key, value):
        answers = {name: same(ask(sql)) for name, ask in asked.items()}
        first = answers["meshlake"]
        for name, answer in answers.items():
            assert answer == first, f"{label}: {name} has {answer[:3]}, meshlake {first[:3]}"
        took = {name: median_ms(lambda ask=ask: ask(sql), times) for name, ask in asked.items()}
        ratio = took["meshlake"] / min(took["DuckDB"], took["chDB"])
        cells = [label, str(len(first)), *(f"{took[name]:.1f}" for name in asked), f"{ratio:.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    return lines


def rows_out(server, times, count):
    import adbc_driver_flightsql.dbapi as flight

    sql = f"SELECT {COLUMNS_OUT} FROM spans LIMIT {count}"
    lines = []
    with flight.connect(f"grpc://127.0.0.1:{server.flight}", autocommit=True) as connection, connection.cursor() as cursor:

        def fetch():
            cursor.execute(sql)
            assert cursor.fetch_arrow_table().num_rows == count

        fetch()
        lines.append(f"| Flight SQL, to Arrow | {median_ms(fetch, times):.0f} |")
    ours = f"host=127.0.0.1 port={server.postgres} user=bench dbname=default"
    theirs = os.environ.get("MESHLAKE_BENCH_POSTGRES")

    def psql(target):
        subprocess.run(["psql", "-X", "-q", "-A", "-t", "-o", "/dev/null", "-c", sql, target], check=True)

    if theirs:
        copied = subprocess.run(["psql", "-X", "-q", "-c", f"COPY ({sql}) TO STDOUT", ours], check=True, capture_output=True).stdout
        made = ("DROP TABLE IF EXISTS spans; CREATE TABLE spans (trace_id text, span_id text, parent_span_id text, name text, "
                "service_name text, kind int, status_code int, time_unix_nano bigint, duration_nano bigint, outcome text)")
        subprocess.run(["psql", "-X", "-q", "-c", made, "-c", "COPY spans FROM STDIN", theirs], check=True, input=copied)
    for name, target in [("psql, meshlake", ours), ("psql, PostgreSQL", theirs)]:
        if target:
            psql(target)
            lines.append(f"| {name} | {median_ms(lambda target=target: psql(target), times):.0f} |")
    return lines


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--rows-out", type=int, default=1_000_000)
    parser.add_argument("--result")
    args = parser.parse_args()
    import_requests(args.binary, args.data_dir, args.requests)
    server = Server(args.binary, args.data_dir)
    try:
        counts = {table: server.rows(f"SELECT count(*) FROM {table}")[0][0] for table in ("spans", "requests")}
        lines, out = compared(server, args.data_dir, args.times), rows_out(server, args.times, args.rows_out)
    finally:
        server.stop()
    page = "\n".join([
        "# The same questions of meshlake, DuckDB and chDB", "",
        f"Machine: {platform.machine()}, {os.cpu_count()} cores, {platform.release()}. DuckDB and chDB have {THREADS} threads, meshlake's plans {max(1, os.cpu_count() - 1)}; warm; median of {args.times}.",
        f"{counts['spans']} spans and {counts['requests']} requests in the same Parquet files; meshlake over HTTP, the others in the process that asks.", "",
        "| question | rows | meshlake ms | DuckDB ms | chDB ms | of the faster |", "|---|---|---|---|---|---|", *lines, "",
        f"{args.rows_out} rows of ten columns:", "", "| by | ms |", "|---|---|", *out, "",
    ])
    print(page)
    if args.result:
        pathlib.Path(args.result).write_text(page)


if __name__ == "__main__":
    main()
