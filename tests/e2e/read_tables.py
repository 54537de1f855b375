"""Reads every Delta table below a directory as its users would, and prints figures of each as JSON.

Each table is summed up twice: by Polars through the Delta log, and by DuckDB over the files that `deltalake`
lists. What the log says of protocol, partitions and files is printed beside. Usage: read_tables.py DIR TIME,
where rows since TIME (microseconds since the epoch) are counted once more by a filter.
"""

import json
import pathlib
import sys

import deltalake
import duckdb
import polars as pl

SERVICE_COLUMNS = ("service_name", "destination_service")


def by_polars(path, columns, service, since):
    scan = pl.scan_delta(str(path))
    rows = scan.collect()
    figures = {"rows": len(rows)}
    if len(rows) == 0:
        return figures
    micros = rows["time"].dt.epoch("us")
    figures |= {"time_min": micros.min(), "time_max": micros.max()}
    figures["dates"] = {str(day): n for day, n in rows.group_by("date").len().iter_rows()}
    # A filter that is pushed down, so that files are skipped by their statistics.
    figures["since"] = scan.filter(pl.col("time") >= pl.lit(since).cast(pl.Datetime("us", "UTC"))).select(pl.len()).collect().item()
    if "duration_nano" in columns:
        figures["duration_nano"] = rows["duration_nano"].sum()
    if "time_unix_nano" in columns:
        figures["time_unix_milli"] = (rows["time_unix_nano"] // 1_000_000).sum()
    if service:
        figures["services"] = {name or "": n for name, n in rows.group_by(service).len().iter_rows()}
    if "attributes" in columns:
        maps = [dict(entries) for entries in rows["attributes"].to_list()]
        figures["numbers"] = sum(int(entries.get("test.number") or 0) for entries in maps)
        figures["entries"] = sum(len(entries) for entries in maps)
    return figures


def by_duckdb(files, columns, service, since):
    if not files:
        return {"rows": 0}
    table = duckdb.connect().from_parquet(files, hive_partitioning=True)

    def ask(what, group=""):
        return table.query("t", f"SELECT {what} FROM t {group}").fetchall()

    (rows, time_min, time_max), = ask("count(*), epoch_us(min(time)), epoch_us(max(time))")
    figures = {"rows": rows}
    if rows == 0:
        return figures
    figures |= {"time_min": time_min, "time_max": time_max}
    figures["dates"] = dict(ask("CAST(date AS VARCHAR), count(*)", "GROUP BY ALL"))
    figures["since"] = ask("count(*)", f"WHERE epoch_us(time) >= {since}")[0][0]
    if "duration_nano" in columns:
        figures["duration_nano"] = int(ask("sum(duration_nano)")[0][0])
    if "time_unix_nano" in columns:
        figures["time_unix_milli"] = int(ask("sum(time_unix_nano // 1000000)")[0][0])
    if service:
        figures["services"] = dict(ask(f"coalesce({service}, ''), count(*)", "GROUP BY ALL"))
    if "attributes" in columns:
        numbers = "coalesce(sum(CAST(attributes['test.number'] AS BIGINT)), 0)"
        figures["numbers"] = int(ask(numbers)[0][0])
        figures["entries"] = int(ask("sum(cardinality(attributes))")[0][0])
    return figures


def by_statistics(table):
    """What the log's statistics say of the files, for readers that skip files by them."""
    files = pl.DataFrame(table.get_add_actions(flatten=True))
    if len(files) == 0:
        return {"rows": 0}
    bounds = [files[name].dt.epoch("us") for name in ("min.time", "max.time")]
    return {"rows": files["num_records"].sum(), "time_min": bounds[0].min(), "time_max": bounds[1].max()}


def read(path, since):
    table = deltalake.DeltaTable(str(path))
    columns = [field.name for field in table.schema().fields]
    service = next((name for name in SERVICE_COLUMNS if name in columns), None)
    protocol = table.protocol()
    files = table.file_uris()
    return {
        "protocol": [protocol.min_reader_version, protocol.min_writer_version],
        "partition_columns": table.metadata().partition_columns,
        "files": len(files),
        "polars": by_polars(path, columns, service, since),
        "duckdb": by_duckdb(files, columns, service, since),
        "statistics": by_statistics(table),
    }


def main():
    directory, since = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    tables = {path.name: read(path, since) for path in sorted(directory.iterdir())}
    json.dump(tables, sys.stdout)


main()
