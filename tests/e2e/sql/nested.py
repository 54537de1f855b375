"""Asks random statements of queries within queries of a running meshlake and of DuckDB, and compares the values.

All queries of a statement have the same two columns, made of few expressions, so that queries are often written like
those that they read from: what an engine that tells columns apart by their names and expressions gets wrong.
Usage: nested.py http://HOST:PORT COUNT SEED. Prints every difference and ends with 1 if there is one.
"""

import collections
import random
import sys

import duckdb
import pyarrow as pa

from compare import ours, rows

# As many as one statement may have.
SELECTS_MAX = 24

TABLE = "(VALUES (1, 2), (3, 4), (NULL, 0), (2, 2), (3, 1)) AS v(a, b)"
EXPRESSIONS = [
    "a",
    "b",
    "a + 1",
    "b + a",
    "a * 2",
    "b - a",
    "coalesce(a, b)",
    "CASE WHEN a > b THEN a ELSE b END",
    "sum(a) OVER (ORDER BY a, b)",
    "count(*) OVER (PARTITION BY b)",
    "(SELECT max(a) FROM {query})",
]
CONDITIONS = ["a > 1", "b IS NOT NULL", "a + 1 > b", "a IN (SELECT b FROM {query})", "EXISTS (SELECT 1 FROM {query} WHERE a > 2)"]


class Statements:
    def __init__(self, seed):
        self.chance, self.tables = random.Random(seed), 0

    def filled(self, text, depth):
        return text.replace("{query}", f"({self.query(depth - 1)})") if "{query}" in text else text

    def expression(self, depth):
        return self.filled(self.chance.choice(EXPRESSIONS), depth)

    def where(self, depth):
        return f" WHERE {self.filled(self.chance.choice(CONDITIONS), depth)}" if self.chance.random() < 0.3 else ""

    def source(self, depth):
        if depth <= 0:
            return TABLE
        query = f"({self.query(depth - 1)})"
        return self.chance.choice(
            [query, query, query, f"{query} AS t", f"{query} CROSS JOIN (SELECT max(a) AS c FROM ({self.query(depth - 2)}))"]
        )

    def query(self, depth):
        pair = f"SELECT {self.expression(depth)} AS a, {self.expression(depth)} AS b FROM {self.source(depth)}"
        twice = f"SELECT a + 1 AS a, b + a AS b FROM (SELECT a + 1 AS a, b + a AS b FROM {self.source(depth)}{self.where(depth)})"
        swapped = f"SELECT b AS a, a AS b FROM (SELECT b AS a, a AS b FROM {self.source(depth)}){self.where(depth)}"
        kind = self.chance.randrange(10)
        if kind < 3:
            return pair + self.where(depth)
        if kind == 3:
            return twice
        if kind == 4:
            return swapped
        if kind == 5:
            return f"SELECT DISTINCT a + 1 AS a, b FROM {self.source(depth)}"
        if kind == 6:
            return f"SELECT max(a) AS a, b FROM {self.source(depth)}{self.where(depth)} GROUP BY b"
        if kind == 7:
            return f"{pair} ORDER BY a, b LIMIT 4"
        if kind == 8:
            return f"SELECT a, b FROM {self.source(depth)} UNION ALL SELECT a + 1 AS a, b FROM {self.source(depth - 1)}"
        self.tables += 1
        name = f"t{self.tables}"
        return f"WITH {name} AS ({pair}) SELECT a + 1 AS a, b FROM {name}{self.where(depth)}"

    def statement(self):
        while True:
            text = self.query(self.chance.randint(1, 5))
            if text.count("SELECT") <= SELECTS_MAX:
                return text


def main():
    url, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    connection, statements, failed = duckdb.connect(), Statements(seed), 0
    for _ in range(count):
        sql = statements.statement()
        want = collections.Counter(rows(connection.sql(sql).to_arrow_table()))
        try:
            have = collections.Counter(rows(ours(url, sql)))
        except (ValueError, pa.ArrowInvalid) as error:
            have = str(error)
        if have != want:
            failed += 1
            print(f"-- {sql}\n   {have}, DuckDB {want}\n")
    print(f"{count} statements, {failed} differ")
    sys.exit(1 if failed else 0)


main()
