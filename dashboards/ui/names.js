// Names that can be typed in SQL: tables, columns, functions, and the keys of attributes of the last hour.

const STATEMENTS = [
  "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'",
  "SELECT DISTINCT column_name FROM information_schema.columns WHERE table_schema = 'public'",
  'SELECT DISTINCT routine_name FROM information_schema.routines',
  ...['spans', 'logs', 'requests'].map(
    (table) =>
      'SELECT DISTINCT key FROM (SELECT unnest(map_keys(attributes)) AS key FROM (SELECT attributes ' +
      `FROM ${table} WHERE time > now() - INTERVAL '1 hour' LIMIT 20000)) LIMIT 2000`,
  ),
];

/** @type {Promise<string[]> | undefined} */
let names;

/**
 * Sorted; asked once, and without those that cannot be had.
 * @returns {Promise<string[]>}
 */
export function namesOf() {
  names ??= Promise.all(STATEMENTS.map(firstColumn)).then((columns) => [...new Set(columns.flat())].sort());
  return names;
}

/**
 * @param {string} sql
 * @returns {Promise<string[]>}
 */
async function firstColumn(sql) {
  try {
    const answer = await fetch('/api/v1/sql', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ sql }),
    });
    const { rows } = await answer.json();
    return rows.map((/** @type {unknown[]} */ [name]) => String(name));
  } catch {
    return [];
  }
}
