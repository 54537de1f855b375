"""Asks each statement of standard input (a list in JSON) as Grafana's source does: one text without parameters."""

import json
import sys

import psycopg

host, port = sys.argv[1].rsplit(":", 1)
answers = []
with psycopg.connect(
    host=host, port=port, user="grafana", dbname="default", autocommit=True, cursor_factory=psycopg.ClientCursor
) as connection:
    for statement in json.load(sys.stdin):
        cursor = connection.execute(statement)
        columns = [column.name for column in cursor.description]
        answers.append({"columns": columns, "rows": cursor.fetchall()})
json.dump(answers, sys.stdout, default=lambda value: float(value) if hasattr(value, "is_nan") else str(value))
