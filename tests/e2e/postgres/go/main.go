// pgx in each of its ways to ask, and what Grafana's PostgreSQL source sends by pgx and lib/pq.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"os"
	"reflect"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/lib/pq"
)

var spans int64

func must(err error) {
	if err != nil {
		log.Panic(err)
	}
}

func same(what string, found, wanted any) {
	if !reflect.DeepEqual(found, wanted) {
		log.Panicf("%s: %v is not %v", what, found, wanted)
	}
}

func main() {
	number, err := strconv.ParseInt(os.Args[1], 10, 64)
	must(err)
	spans = number
	for _, mode := range []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"} {
		asked(mode)
	}
	for _, driver := range []string{"pgx", "postgres"} {
		grafana(driver)
	}
	fmt.Println("done")
}

func asked(mode string) {
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Minute)
	defer stop()
	connection, err := pgx.Connect(ctx, "sslmode=prefer default_query_exec_mode="+mode)
	must(err)
	defer connection.Close(ctx)
	must(connection.Ping(ctx))
	var counted int64
	count := "SELECT count(*) FROM spans WHERE kind = $1 AND service_name = $2 AND time < $3 AND is_proxy = $4"
	must(connection.QueryRow(ctx, count, 2, "shop", time.Now().Add(time.Hour), false).Scan(&counted))
	same(mode, counted, spans)
	must(connection.QueryRow(ctx, "SELECT count(*) FROM spans WHERE kind = ANY($1)", []int32{1, 2}).Scan(&counted))
	same(mode, counted, spans)
	types := "SELECT 1::int2, 2::int4, 3::int8, 1.5::float4, 2.5::float8, true, 'é', NULL, ARRAY[1, NULL]::bigint[], ARRAY['a', NULL], '{\"a\":1}'::jsonb"
	rows, err := connection.Query(ctx, types)
	must(err)
	values, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) ([]any, error) { return row.Values() })
	must(err)
	same(mode, values, []any{
		int16(1), int32(2), int64(3), float32(1.5), 2.5, true, "é", nil, []any{int64(1), nil}, []any{"a", nil},
		map[string]any{"a": 1.0},
	})
	rows, err = connection.Query(ctx, "SELECT * FROM spans LIMIT 3")
	must(err)
	all, err := pgx.CollectRows(rows, pgx.RowToMap)
	must(err)
	same(mode, []any{len(all), all[0]["name"], all[0]["parent_span_id"]}, []any{3, "GET /", nil})
	batch := &pgx.Batch{}
	batch.Queue("SELECT $1::text", "x")
	batch.Queue("SELECT count(*) FROM spans WHERE kind = $1", 2)
	results := connection.SendBatch(ctx, batch)
	var text string
	must(results.QueryRow().Scan(&text))
	must(results.QueryRow().Scan(&counted))
	must(results.Close())
	same(mode, []any{text, counted}, []any{"x", spans})
	_, err = connection.Exec(ctx, "SELECT nope FROM spans")
	var failure *pgconn.PgError
	if !errors.As(err, &failure) || failure.Code != "42703" {
		log.Panic(mode, err)
	}
	transaction, err := connection.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	must(err)
	must(transaction.QueryRow(ctx, "SELECT $1::int", 7).Scan(&counted))
	must(transaction.Commit(ctx))
	hurried, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	_, err = connection.Exec(hurried, "SELECT count(*) FROM spans a, spans b, spans c WHERE a.name <> b.trace_id")
	if err == nil {
		log.Panic(mode, ": it was not stopped")
	}
}

const searched = `quote_ident(table_schema) IN (SELECT CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
  FROM generate_series(array_lower(string_to_array(current_setting('search_path'),','),1),
    array_upper(string_to_array(current_setting('search_path'),','),1)) as i,
  string_to_array(current_setting('search_path'),',') s)`

// How Grafana asks: the health check, the editor's lists, and macros as they are written out.
func grafana(driver string) {
	database, err := sql.Open(driver, "sslmode=disable")
	must(err)
	defer database.Close()
	must(database.Ping())
	var tables, columns int64
	must(database.QueryRow("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'").Scan(&tables))
	must(database.QueryRow("SELECT count(*) FROM information_schema.columns WHERE table_name = 'ledger'").Scan(&columns))
	for statement, wanted := range map[string]int64{
		"-- ping": 0,
		"SELECT current_setting('server_version_num')::int/100 as version":  1,
		"SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'": 0,
		`select quote_ident(table_name) as "table" from information_schema.tables
		   where quote_ident(table_schema) not in ('information_schema', 'pg_catalog') and ` + searched: tables,
		`SELECT CASE WHEN ` + searched + ` THEN quote_ident(table_name)
		   ELSE quote_ident(table_schema) || '.' || quote_ident(table_name) END AS "table" FROM information_schema.tables
		   WHERE quote_ident(table_schema) NOT IN ('information_schema', 'pg_catalog')
		   ORDER BY CASE WHEN ` + searched + ` THEN 0 ELSE 1 END, 1`: tables,
		`SELECT quote_ident(column_name) AS "column", data_type AS "type" FROM information_schema.columns
		   WHERE CASE WHEN array_length(parse_ident('ledger'),1) = 2
		     THEN quote_ident(table_schema) = (parse_ident('ledger'))[1] AND quote_ident(table_name) = (parse_ident('ledger'))[2]
		     ELSE quote_ident(table_name) = 'ledger' AND ` + searched + ` END`: columns,
		`SELECT time AS "time", duration_nano FROM spans WHERE time BETWEEN '2020-11-29T00:00:00Z' AND '2099-11-29T12:00:00.5Z'`: spans,
		`SELECT floor(extract(epoch from time)/100000000)*100000000 AS "time", service_name AS metric, count(*) AS value FROM spans
		   WHERE extract(epoch from time) >= 1577836800 AND extract(epoch from time) <= 4102444800 GROUP BY 1, 2 ORDER BY 1`: 1,
		"SELECT time_unix_nano, name FROM spans WHERE time_unix_nano >= 1577836800000000000 AND time_unix_nano <= 4102444800000000000": spans,
		"SELECT i, count(s.kind) FROM generate_series(1, 3) AS i LEFT JOIN spans s ON s.kind = i GROUP BY 1 ORDER BY 1":                3,
		"SELECT attributes->>'test.number' AS number FROM spans WHERE attributes->>'test.number' = '7'":                                1,
	} {
		rows, err := database.Query(statement)
		if err != nil {
			log.Panicf("%s: %s: %v", driver, statement, err)
		}
		found := int64(0)
		for rows.Next() {
			found++
		}
		must(rows.Err())
		must(rows.Close())
		same(driver+": "+statement, found, wanted)
	}
}
