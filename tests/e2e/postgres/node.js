// node-pg: values of every type, prepared statements, cursors, several statements at once, errors and time-outs.
const { strict: assert } = require('node:assert');
const { Client } = require('pg');
const Cursor = require('pg-cursor');

const spans = Number(process.argv[2]);

async function main() {
  const client = new Client();
  await client.connect();
  const { rows: [values] } = await client.query(
    `SELECT 1::int2 AS a, 2::int4 AS b, 3::int8 AS c, 1.5::float8 AS d, 1.50::numeric(5, 2) AS e, true AS f, 'x'::text AS g,
       timestamptz '2026-11-29 07:40:04.25+00' AS h, ARRAY[1, NULL]::bigint[] AS i, ARRAY['a', NULL] AS j, NULL AS k,
       '{"a": 1}'::jsonb AS l, '\\x00ff'::bytea AS m, ARRAY[1.5]::float8[] AS n`,
  );
  assert.deepEqual({ ...values }, {
    a: 1, b: 2, c: '3', d: 1.5, e: '1.50', f: true, g: 'x', h: new Date('2026-11-29T07:40:04.250Z'), i: ['1', null],
    j: ['a', null], k: null, l: { a: 1 }, m: Buffer.from([0, 255]), n: [1.5],
  });
  const later = new Date(Date.now() + 3_600_000);
  const { rows: counted } = await client.query(
    'SELECT count(*)::int AS count FROM spans WHERE kind = $1 AND service_name = $2 AND time < $3 AND is_proxy = $4 AND name = ANY($5)',
    [2, 'shop', later, false, ['GET /', 'x']],
  );
  assert.deepEqual(counted, [{ count: spans }]);
  for (let number = 0; number < 5; number += 1) {
    const { rows } = await client.query({ name: 'next', text: 'SELECT ($1::int + 1)::int', values: [number], rowMode: 'array' });
    assert.deepEqual(rows, [[number + 1]]);
  }
  const { rows: [given] } = await client.query('SELECT $1::jsonb AS a, $2::bytea AS b', [{ a: [1] }, Buffer.from([0, 255])]);
  assert.deepEqual({ ...given }, { a: { a: [1] }, b: Buffer.from([0, 255]) });
  const cursor = client.query(new Cursor("SELECT attributes->>'test.number' AS number FROM spans"));
  const numbers = new Set();
  for (let rows = await cursor.read(1000); rows.length > 0; rows = await cursor.read(1000)) {
    rows.forEach((row) => numbers.add(row.number));
  }
  await cursor.close();
  assert.equal(numbers.size, spans);
  assert.equal((await client.query('SELECT 1; SELECT 2')).length, 2);
  await assert.rejects(client.query('SELECT nope FROM spans'), { code: '42703' });
  await client.query('SET statement_timeout = 100');
  const endless = 'SELECT count(*) FROM spans a, spans b, spans c WHERE a.name <> b.trace_id';
  await assert.rejects(client.query(endless), { code: '57014' });
  await client.query('RESET statement_timeout');
  assert.equal((await client.query('SELECT * FROM metric_histograms')).rowCount, 0);
  await client.end();
  console.log('done');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
