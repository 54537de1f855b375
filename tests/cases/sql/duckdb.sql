# Statements that meshlake and DuckDB answer alike over the same files; tests/e2e/sql/compare.py says how this is read.
# The cells of calls (calls_10s, calls_1m, calls_10m) are left out: they are settled while the test runs.

SELECT count(*), min(time), max(time), count(DISTINCT date) FROM spans;

SELECT count(*), min(time), max(time), count(DISTINCT date) FROM logs;

SELECT count(*), min(time), max(time), count(DISTINCT date) FROM metric_points;

SELECT count(*), min(time), max(time), count(DISTINCT date) FROM metric_histograms;

SELECT count(*), min(time), max(time), count(DISTINCT date) FROM metric_exp_histograms;

SELECT count(*), min(time), max(time), count(DISTINCT date) FROM metric_summaries;

SELECT count(*), min(time), max(time), count(DISTINCT date) FROM requests;

SELECT count(*), min(time), max(time), count(DISTINCT date) FROM ledger;

SELECT count(*), min(time), max(time), count(DISTINCT date) FROM traces;

SELECT date, count(*) FROM spans GROUP BY date ORDER BY date;

SELECT tenant, count(*), count(DISTINCT time) FROM spans GROUP BY tenant;

SELECT date, count(*) FROM requests GROUP BY date ORDER BY date;

SELECT tenant, count(*), count(DISTINCT time) FROM requests GROUP BY tenant;

SELECT date, count(*) FROM metric_points GROUP BY date ORDER BY date;

SELECT tenant, count(*), count(DISTINCT time) FROM metric_points GROUP BY tenant;

SELECT date, count(*) FROM traces GROUP BY date ORDER BY date;

SELECT tenant, count(*), count(DISTINCT time) FROM traces GROUP BY tenant;

SELECT date, count(*) FROM ledger GROUP BY date ORDER BY date;

SELECT tenant, count(*), count(DISTINCT time) FROM ledger GROUP BY tenant;

SELECT service_name, count(*), sum(duration_nano), min(duration_nano), max(duration_nano), avg(duration_nano) FROM spans GROUP BY service_name ORDER BY service_name;

SELECT kind, count(*), count(parent_span_id), count(DISTINCT trace_id) FROM spans GROUP BY kind ORDER BY kind;

SELECT kind, status_code, count(*) FROM spans GROUP BY kind, status_code;

SELECT outcome, counted, count(*), sum(adjusted_count) FROM spans GROUP BY outcome, counted;

SELECT count(*) FILTER (WHERE status_code = 2), count(*) FILTER (WHERE kind = 2) FROM spans;

SELECT service_name, count(*) FROM spans GROUP BY service_name HAVING count(*) > 50 ORDER BY count(*) DESC, service_name;

SELECT stddev_samp(duration_nano), var_pop(duration_nano), stddev_pop(duration_nano) FROM spans;

SELECT corr(duration_nano, kind), covar_samp(duration_nano, kind), regr_slope(duration_nano, kind) FROM spans;

SELECT bool_and(is_proxy), bool_or(is_proxy), bool_or(counted) FROM spans;

SELECT service_name, string_agg(DISTINCT name, ',' ORDER BY name) FROM spans GROUP BY service_name ORDER BY service_name;

SELECT service_name, array_agg(DISTINCT kind ORDER BY kind) FROM spans GROUP BY service_name ORDER BY service_name;

SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY CAST(duration_nano AS DOUBLE)) FROM spans;

SELECT service_name, percentile_cont(0.25) WITHIN GROUP (ORDER BY CAST(duration_nano AS DOUBLE)) AS p25 FROM spans GROUP BY service_name ORDER BY service_name;

SELECT median(CAST(duration_nano AS DOUBLE)) FROM spans;

SELECT count(*) FROM (SELECT DISTINCT service_name, name FROM spans);

SELECT count(DISTINCT name), count(DISTINCT service_name), count(DISTINCT span_id) FROM spans;

SELECT service_name, kind, count(*) FROM spans GROUP BY ROLLUP (service_name, kind);

SELECT service_name, kind, count(*) FROM spans GROUP BY CUBE (service_name, kind);

SELECT service_name, outcome, count(*), grouping(service_name) FROM spans GROUP BY GROUPING SETS ((service_name), (outcome), ());

SELECT sum(duration_nano) / count(*) FROM spans;
-- duckdb:
SELECT sum(duration_nano) // count(*) FROM spans;

SELECT avg(CAST(duration_nano AS DOUBLE) / 1000000) FROM spans;

SELECT min(name), max(name), min(service_name), max(trace_id) FROM spans;

SELECT first_value(name ORDER BY time, span_id), last_value(name ORDER BY time, span_id) FROM spans;
-- duckdb:
SELECT first(name ORDER BY time, span_id), last(name ORDER BY time, span_id) FROM spans;

SELECT bit_and(kind), bit_or(kind), bit_xor(kind) FROM spans;

SELECT sum(CASE WHEN http_response_status_code >= 500 THEN 1 ELSE 0 END), count(http_response_status_code) FROM spans;

SELECT count(*), count(http_route), count(peer_service), count(db_system_name) FROM spans;

SELECT observer, count(*), sum(duration_nano), sum(request_bytes), sum(response_bytes) FROM requests GROUP BY observer ORDER BY observer;

SELECT destination_service, count(*) AS requests, avg(duration_nano) FROM requests WHERE counted GROUP BY destination_service ORDER BY destination_service NULLS LAST;

SELECT source_service, destination_service, count(*) FROM requests GROUP BY source_service, destination_service;

SELECT source_service, destination_service, max(duration_nano), min(time) FROM requests WHERE observer = 'client' GROUP BY 1, 2;

SELECT outcome, count(*) FROM requests GROUP BY outcome ORDER BY outcome;

SELECT response_code, count(*) FROM requests GROUP BY response_code ORDER BY response_code NULLS FIRST;

SELECT count(*) FROM requests WHERE response_flags IS NOT NULL;

SELECT destination_service, destination_version, count(*) FROM requests GROUP BY 1, 2;

SELECT protocol, count(*) FROM requests GROUP BY protocol;

SELECT method, count(*), count(DISTINCT path) FROM requests GROUP BY method;

SELECT count(trace_id), count(DISTINCT trace_id), count(request_id) FROM requests;

SELECT trace_id, span_id, name FROM spans ORDER BY duration_nano DESC, span_id LIMIT 20;

SELECT span_id, duration_nano FROM spans WHERE service_name = 'reviews' ORDER BY time, span_id LIMIT 10 OFFSET 5;

SELECT span_id FROM spans WHERE duration_nano BETWEEN 1000000 AND 5000000 ORDER BY span_id LIMIT 50;

SELECT count(*) FROM spans WHERE name LIKE 'GET%';

SELECT count(*) FROM spans WHERE name ILIKE '%get%' OR name ILIKE '%post%';

SELECT count(*) FROM spans WHERE name NOT LIKE '%/%';

SELECT count(*) FROM spans WHERE service_name IN ('reviews', 'ratings', 'none');

SELECT count(*) FROM spans WHERE service_name NOT IN ('reviews', 'ratings');

SELECT count(*) FROM spans WHERE parent_span_id IS NULL;

SELECT count(*) FROM spans WHERE parent_span_id IS NOT NULL AND NOT (kind = 2);

SELECT count(*) FROM spans WHERE http_route IS DISTINCT FROM 'x';

SELECT count(*) FROM spans WHERE http_route IS NOT DISTINCT FROM NULL;

SELECT count(*) FROM spans WHERE regexp_like(name, '^[A-Z]+ /');
-- duckdb:
SELECT count(*) FROM spans WHERE regexp_matches(name, '^[A-Z]+ /');

SELECT count(*) FROM spans WHERE NOT counted;

SELECT DISTINCT service_name, service_namespace FROM spans;

SELECT DISTINCT kind FROM spans ORDER BY kind DESC;

SELECT DISTINCT ON (service_name) service_name, span_id FROM spans ORDER BY service_name, duration_nano DESC, span_id;

SELECT span_id, http_route FROM spans ORDER BY http_route NULLS FIRST, span_id LIMIT 30;

SELECT span_id, http_route FROM spans ORDER BY http_route DESC NULLS LAST, span_id DESC LIMIT 30;

SELECT date_trunc('minute', time) AS m, count(*) FROM spans GROUP BY m ORDER BY m;

SELECT date_trunc('second', time) AS s, count(*) FROM spans GROUP BY s ORDER BY s;

SELECT date_trunc('hour', time), date_trunc('day', time), date_trunc('month', time) FROM spans GROUP BY 1, 2, 3;

SELECT time_bucket(INTERVAL '2 seconds', time) AS b, count(*) FROM spans GROUP BY b ORDER BY b;

SELECT time_bucket(INTERVAL '1 week', time) AS b, count(*) FROM spans GROUP BY b ORDER BY b;

SELECT time_bucket(INTERVAL '7 minutes', time) AS b, count(*) FROM requests GROUP BY b ORDER BY b;

SELECT time_bucket(INTERVAL '1 month', time) AS b, count(*) FROM spans GROUP BY b ORDER BY b;

SELECT extract(year FROM time), extract(month FROM time), extract(day FROM time), count(*) FROM spans GROUP BY 1, 2, 3;

SELECT extract(hour FROM time) AS h, extract(minute FROM time) AS m, count(*) FROM spans GROUP BY 1, 2;

SELECT extract(dow FROM time), extract(doy FROM time), extract(week FROM time) FROM spans GROUP BY 1, 2, 3;

SELECT count(*) FROM spans WHERE time >= (SELECT min(time) FROM spans) + INTERVAL '1 second';

SELECT count(*) FROM spans WHERE time < (SELECT max(time) FROM spans) - INTERVAL '500 milliseconds';

SELECT min(time) + INTERVAL '1 day', max(time) - INTERVAL '2 hours' FROM spans;

SELECT max(time) - INTERVAL '1 hour' < min(time) FROM spans;

SELECT CAST(min(time) AS DATE), CAST(max(time) AS DATE) FROM spans;

SELECT time_unix_nano / 1000000000, count(*) FROM spans GROUP BY 1;
-- duckdb:
SELECT time_unix_nano // 1000000000, count(*) FROM spans GROUP BY 1;

SELECT count(*) FROM spans WHERE date = (SELECT max(date) FROM spans);

SELECT TIMESTAMP '2026-11-29T07:44:59' + INTERVAL '1 month', DATE '2026-01-31' + INTERVAL '1 month';

SELECT date_part('epoch', TIMESTAMP '2026-11-29T00:00:00');

SELECT upper(service_name), lower(name), length(name), reverse(service_name) FROM spans GROUP BY 1, 2, 3, 4;

SELECT substr(name, 1, 3), left(name, 2), right(name, 2), count(*) FROM spans GROUP BY 1, 2, 3;

SELECT split_part(name, '/', 1), split_part(name, '/', 2), count(*) FROM spans GROUP BY 1, 2;

SELECT replace(name, '/', '|'), strpos(name, '/'), count(*) FROM spans GROUP BY 1, 2;

SELECT regexp_replace(name, '[0-9]+', 'N', 'g'), count(*) FROM spans GROUP BY 1;

SELECT concat(service_name, ':', name), concat_ws('-', service_name, http_route, name) FROM spans GROUP BY 1, 2;

SELECT service_name || '/' || name, count(*) FROM spans GROUP BY 1;

SELECT trim('  a '), ltrim('  a'), rtrim('a  '), trim(BOTH 'x' FROM 'xax'), repeat('ab', 3), lpad('7', 3, '0'), rpad('7', 3, '0');

SELECT starts_with(service_name, 'r'), count(*) FROM spans GROUP BY 1;

SELECT ascii('A'), chr(97), translate('abc', 'ab', 'xy');

SELECT length('größe'), upper('über'), position('ö' IN 'größe'), substr('größe', 3, 2);

SELECT 'it''s', '', NULL || 'a', coalesce(NULL, 'b'), nullif('a', 'a'), nullif('a', 'b');

SELECT levenshtein('kitten', 'sitting');

SELECT CAST(duration_nano AS VARCHAR), CAST('42' AS BIGINT), CAST(TRUE AS INTEGER) FROM spans ORDER BY span_id LIMIT 3;

SELECT cardinality(attributes), count(*) FROM spans GROUP BY 1 ORDER BY 1;

SELECT key, count(*) FROM (SELECT unnest(map_keys(attributes)) AS key FROM spans) GROUP BY key ORDER BY key;

SELECT span_id, attributes FROM spans ORDER BY span_id LIMIT 20;

SELECT span_id, map_values(attributes) FROM spans ORDER BY span_id LIMIT 20;

SELECT attributes['component'], count(*) FROM spans GROUP BY 1;

SELECT count(*) FROM spans WHERE attributes['no.such.key'] IS NULL;

SELECT count(*) FROM requests WHERE cardinality(attributes) > 0;

SELECT resource['service.name'], count(*) FROM spans GROUP BY 1;
-- duckdb:
SELECT json_extract_string(resource, '$."service.name"'), count(*) FROM spans GROUP BY 1;

SELECT json_get(resource, 'k8s.pod.name'), count(*) FROM spans GROUP BY 1;
-- duckdb:
SELECT json_extract_string(resource, '$."k8s.pod.name"'), count(*) FROM spans GROUP BY 1;

SELECT trace_id, services, array_length(services) FROM traces ORDER BY trace_id, time LIMIT 20;
-- duckdb:
SELECT trace_id, services, len(services) FROM traces ORDER BY trace_id, time LIMIT 20;

SELECT service, count(*) FROM (SELECT unnest(services) AS service FROM traces) GROUP BY service ORDER BY service;

SELECT count(*) FROM traces WHERE array_has(services, 'reviews');
-- duckdb:
SELECT count(*) FROM traces WHERE list_contains(services, 'reviews');

SELECT services[1], count(*) FROM traces GROUP BY 1 ORDER BY 1;

SELECT array_to_string(services, '+'), count(*) FROM traces GROUP BY 1;

SELECT cardinality(events), count(*) FROM spans GROUP BY 1;
-- duckdb:
SELECT len(events), count(*) FROM spans GROUP BY 1;

SELECT count(*) FROM (SELECT unnest(events) AS e FROM spans) WHERE e['name'] <> 'none';

SELECT [1, 2, 3][2], array_length([1, 2, 3]);
-- duckdb:
SELECT [1, 2, 3][2], len([1, 2, 3]);

SELECT bucket_counts, explicit_bounds, count FROM metric_histograms ORDER BY time, series_id, time_unix_nano LIMIT 20;

SELECT sum(b) FROM (SELECT unnest(bucket_counts) AS b FROM metric_histograms);

SELECT count(*) FROM spans a JOIN spans b ON a.parent_span_id = b.span_id AND a.trace_id = b.trace_id;

SELECT p.service_name, c.service_name, count(*) FROM spans c JOIN spans p ON c.trace_id = p.trace_id AND c.parent_span_id = p.span_id WHERE p.service_name <> c.service_name GROUP BY 1, 2;

SELECT count(*), count(p.span_id) FROM spans c LEFT JOIN spans p ON c.trace_id = p.trace_id AND c.parent_span_id = p.span_id;

SELECT a.s, b.s FROM (SELECT DISTINCT service_name s FROM spans) a FULL JOIN (SELECT DISTINCT destination_service s FROM requests) b ON a.s = b.s;

SELECT count(*) FROM (SELECT DISTINCT kind FROM spans) a CROSS JOIN (SELECT DISTINCT service_name FROM spans) b;

SELECT count(*) FROM spans s WHERE EXISTS (SELECT 1 FROM requests r WHERE r.trace_id = s.trace_id);

SELECT count(*) FROM requests r WHERE NOT EXISTS (SELECT 1 FROM spans s WHERE s.trace_id = r.trace_id);

SELECT count(*) FROM spans WHERE trace_id IN (SELECT trace_id FROM traces WHERE span_count > 3);

SELECT count(*) FROM traces WHERE trace_id NOT IN (SELECT trace_id FROM spans WHERE status_code = 2);

SELECT t.trace_id, t.span_count, count(*) FROM traces t JOIN spans s ON s.trace_id = t.trace_id GROUP BY t.trace_id, t.span_count ORDER BY t.trace_id, t.span_count LIMIT 20;

SELECT s.service_name, count(DISTINCT r.request_id) FROM spans s JOIN requests r ON r.trace_id = s.trace_id GROUP BY 1;

SELECT a.service_name, b.service_name FROM (SELECT DISTINCT service_name FROM spans) a JOIN (SELECT DISTINCT service_name FROM spans) b ON a.service_name < b.service_name;

SELECT span_id, (SELECT count(*) FROM spans c WHERE c.parent_span_id = p.span_id) AS children FROM spans p ORDER BY span_id LIMIT 20;

SELECT span_id, row_number() OVER (PARTITION BY service_name ORDER BY duration_nano DESC, span_id) AS n FROM spans ORDER BY span_id LIMIT 50;

SELECT * FROM (SELECT service_name, span_id, rank() OVER (PARTITION BY service_name ORDER BY duration_nano DESC) AS r FROM spans) WHERE r <= 2;

SELECT span_id, dense_rank() OVER (ORDER BY service_name) FROM spans ORDER BY span_id LIMIT 30;

SELECT span_id, lag(duration_nano) OVER (ORDER BY time, span_id), lead(duration_nano, 2, 0) OVER (ORDER BY time, span_id) FROM spans ORDER BY time, span_id LIMIT 30;

SELECT span_id, sum(duration_nano) OVER (ORDER BY time, span_id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) FROM spans ORDER BY time, span_id LIMIT 30;

SELECT span_id, avg(duration_nano) OVER (PARTITION BY kind ORDER BY time, span_id) FROM spans ORDER BY span_id LIMIT 30;

SELECT span_id, first_value(name) OVER (PARTITION BY trace_id ORDER BY time, span_id), last_value(name) OVER (PARTITION BY trace_id ORDER BY time, span_id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) FROM spans ORDER BY span_id LIMIT 30;

SELECT span_id, ntile(4) OVER (ORDER BY duration_nano, span_id), percent_rank() OVER (ORDER BY duration_nano, span_id), cume_dist() OVER (ORDER BY duration_nano, span_id) FROM spans ORDER BY span_id LIMIT 30;

SELECT service_name, count(*) AS n, CAST(count(*) AS DOUBLE) / sum(count(*)) OVER () AS share FROM spans GROUP BY service_name ORDER BY service_name;

SELECT span_id, count(*) OVER (PARTITION BY trace_id) AS n, max(duration_nano) OVER (PARTITION BY trace_id) AS m FROM spans ORDER BY span_id LIMIT 30;

SELECT s, n, sum(n) OVER (ORDER BY s) FROM (SELECT service_name s, count(*) n FROM spans GROUP BY 1) ORDER BY s;

WITH slow AS (SELECT * FROM spans WHERE duration_nano > 5000000) SELECT service_name, count(*) FROM slow GROUP BY 1;

WITH a AS (SELECT trace_id, count(*) n FROM spans GROUP BY 1), b AS (SELECT n, count(*) c FROM a GROUP BY 1) SELECT * FROM b ORDER BY n;

WITH roots AS (SELECT trace_id, service_name FROM spans WHERE parent_span_id IS NULL) SELECT r.service_name, count(*) FROM roots r JOIN spans s USING (trace_id) GROUP BY 1;

SELECT service_name FROM spans UNION SELECT destination_service FROM requests;

SELECT service_name FROM spans WHERE kind = 2 INTERSECT SELECT service_name FROM spans WHERE kind = 3;

SELECT service_name FROM spans EXCEPT SELECT service_name FROM spans WHERE kind = 3;

SELECT 'spans' AS t, count(*) FROM spans UNION ALL SELECT 'requests', count(*) FROM requests UNION ALL SELECT 'traces', count(*) FROM traces ORDER BY t;

SELECT * FROM (VALUES (1, 'a'), (2, 'b'), (3, NULL)) AS t(n, s) ORDER BY n;

SELECT n, s FROM (VALUES (1, 'a'), (2, 'b')) AS t(n, s) JOIN (VALUES (2), (3)) AS u(m) ON n = m;

SELECT coalesce(http_route, url_path, 'none'), count(*) FROM spans GROUP BY 1;

SELECT CASE kind WHEN 2 THEN 'server' WHEN 3 THEN 'client' ELSE 'other' END AS k, count(*) FROM spans GROUP BY k ORDER BY k;

SELECT CASE WHEN duration_nano > 10000000 THEN 'slow' WHEN duration_nano > 1000000 THEN 'medium' END AS c, count(*) FROM spans GROUP BY c;

SELECT NULL IS NULL, CAST(NULL AS BOOLEAN) AND FALSE, CAST(NULL AS BOOLEAN) OR TRUE, NOT CAST(NULL AS BOOLEAN), CAST(NULL AS INT) = 1;

SELECT abs(-7), ceil(1.2), floor(-1.2), round(2.567, 2), sqrt(16.0), power(2, 10), ln(1.0), exp(0.0);

SELECT 7 % 3, -7 % 3, 2 + 3 * 4 AS a, (2 + 3) * 4 AS b, 7 & 3, 7 | 8, 1 << 4;

SELECT greatest(1, 2, 3), least(3, 1, 2), greatest('a', 'b');

SELECT count(*), sum(x), avg(x), min(x) FROM (SELECT CAST(NULL AS BIGINT) AS x);

SELECT sum(duration_nano) FROM spans WHERE FALSE;

SELECT metric_name, count(*), min(value), max(value), sum(value) FROM metric_points GROUP BY metric_name ORDER BY metric_name;

SELECT metric_name, sum(count), sum(sum) FROM metric_histograms GROUP BY metric_name ORDER BY metric_name;

SELECT signal, event, sum(records) FROM ledger GROUP BY signal, event ORDER BY signal, event;

SELECT trace_id, sum(span_count), min(time_unix_nano), max(end_unix_nano) FROM traces GROUP BY trace_id ORDER BY trace_id LIMIT 30;
