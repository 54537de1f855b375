#!/usr/bin/env bash
# Builds the release binary, measures it, and keeps the result in bench/results/NAME.md:
#   bench/run.sh spans-1000 | spans-5         cost of a load: a million spans in large requests; small requests
#   bench/run.sh ack-latency                  acknowledgements of one sender and of many
#   bench/run.sh compression-grpc             the million spans uncompressed, with gzip and with zstd, in turn
#   bench/run.sh compression-http             the same over HTTP/1.1
#   bench/run.sh json                         traces, logs and metrics over HTTP/1.1, as protobuf and as JSON
#   bench/run.sh decode                       decoding alone, without network and store
#   bench/run.sh overload                     ten times what the server takes, in 1 GiB (ten minutes each by gRPC and
#                                             HTTP/1.1; needs root, memory cgroups and 20 GiB of disk)
#   bench/run.sh idle                         a server that is sent nothing
#   bench/run.sh replay                       a start on a write-ahead log of 10 GiB (needs 25 GiB of disk)
#   bench/run.sh size                         bytes a span of the same million spans
#   bench/run.sh size-tracegen                bytes a span of ten million like those of Jaeger's benchmark,
#                                             left in $MESHLAKE_BENCH_DATA (bench-data) for:
#   bench/run.sh import                       an import of ten million lines of nginx, and GoAccess where it is installed
#   bench/run.sh syslog                       ten million lines by syslog over TCP
#   bench/run.sh tail                         ten million lines in a file that is followed
#   bench/run.sh tail-istio                   the same with lines of Istio's text
#   bench/run.sh tail-rotated                 the same while it is rotated in both ways and the server is killed
#   bench/run.sh als                          two million entries of Envoy's access log service
#   bench/run.sh series --prometheus PROGRAM [--victoria-metrics PROGRAM]
#                                             a million series: names and labels, rates, beside a Prometheus
#   bench/run.sh remote-write [--prometheus PROGRAM]
#                                             two million samples by Prometheus remote write, 1.0 and 2.0
#   bench/run.sh questions                    answers on those ten million
#   bench/run.sh calls                        golden metrics and the graph on three of them, folded live
#   bench/run.sh operate                      answers for operators on a day of ten million spans and as many access logs, settled
#   bench/run.sh pages                        each page of that day: time, bytes, and those of scripts and styles (5 minutes)
#   bench/run.sh dashboards --dashboard FILE [--prometheus PROGRAM]
#                                             Istio's service dashboard and Kiali's graph over an hour of fifty services; FILE is
#                                             istio-service-dashboard.json of an Istio release (five minutes)
#   bench/run.sh sql                          the same questions of meshlake, DuckDB and chDB on ten million spans in one
#                                             directory, and rows out (python with the packages of bench/sql_speed.py)
#   bench/run.sh traces [--jaeger FILE]       traces and lines of a day over the APIs of Tempo, Jaeger and Loki, ten million of each;
#                                             fewer by `--spans` and `--lines`
#   bench/run.sh settled                      a day of ten million spans and as many access logs, settled; then the last minutes
#                                             while 50,000 spans/s come in (9 minutes; `--calls 50000000` for a hundred
#                                             million of each needs 60 GiB of disk)
#   bench/run.sh settled-5000 settled --cpus 0,1 --rates 5000 --calls 100000
#                                             the last minutes while 5,000 spans/s come in (7 minutes)
#   bench/run.sh NAME COMMAND [options]       any other, as `meshlake-bench help` tells
# Options behind the name are added: `bench/run.sh replay --gib 1`. The load has core 1, the server core 0, or
# both where nothing is sent while it is measured.
set -euo pipefail
cd "$(dirname "$0")/.."
name="${1:?usage: bench/run.sh NAME [options]; see the head of this file}"
shift
data="${MESHLAKE_BENCH_DATA:-bench-data}"
case "$name" in
  spans-1000) set -- run --runs 3 --flush-age 5 "$@" ;;
  spans-5)
    set -- run --flush-age 5 --requests 40000 --records 5 --connections 64 --in-flight 64 "$@" ;;
  ack-latency) set -- ack "$@" ;;
  compression-grpc) set -- compare --compressions none,gzip,zstd "$@" ;;
  compression-http) set -- compare --protocol http/protobuf --compressions none,gzip,zstd "$@" ;;
  json) set -- compare --signals traces,logs,metrics --protocols http/protobuf,http/json "$@" ;;
  decode) set -- decode "$@" ;;
  overload) set -- overload "$@" ;;
  idle) set -- idle --cpus 0,1 "$@" ;;
  replay) set -- replay --cpus 0,1 "$@" ;;
  size) set -- size "$@" ;;
  size-tracegen) set -- size --signal tracegen --requests 10000 --data-dir "$data" "$@" ;;
  calls) set -- calls --cpus 0,1 --data-dir "$data" "$@" ;;
  operate) set -- operate --cpus 0,1 "$@" ;;
  pages) set -- pages --cpus 0,1 "$@" ;;
  dashboards) set -- dashboards --cpus 0,1 "$@" ;;
  traces) set -- traces --cpus 0,1 "$@" ;;
  settled) set -- settled --cpus 0,1 "$@" ;;
  import) set -- import --cpus 0,1 "$@" ;;
  syslog) set -- syslog "$@" ;;
  tail) set -- tail "$@" ;;
  tail-istio) set -- tail --format istio_text "$@" ;;
  tail-rotated) set -- tail --rotations 20 --kills 5 "$@" ;;
  als) set -- als "$@" ;;
  series) set -- series --cpus 0,1 "$@" ;;
  remote-write) set -- remote-write "$@" ;;
  questions) set -- questions --cpus 0,1 --data-dir "$data" "$@" ;;
esac
mkdir -p bench/results
if [ "$name" = sql ]; then
  [ -d "$data/tables/spans" ] || "$0" size-tracegen
  exec "${MESHLAKE_BENCH_PYTHON:-python3}" bench/sql_speed.py --binary "${CARGO_TARGET_DIR:-target}/release/meshlake" \
    --data-dir "$data" --result bench/results/sql.md "$@"
fi
target="${CARGO_TARGET_DIR:-target}"
cargo build --release --locked --package meshlake --package meshlake-bench
[ "$1" = decode ] || set -- "$@" --binary "$target/release/meshlake"
exec taskset --cpu-list 1 "$target/release/meshlake-bench" "$@" --result "bench/results/$name.md"
