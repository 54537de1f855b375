"""SQLAlchemy: tables and columns found by reflection, and asked by what was found."""

import os
import sys

import sqlalchemy
from sqlalchemy.dialects import postgresql

SPANS = int(sys.argv[1])


def same(found, wanted):
    assert found == wanted, f"{found!r} is not {wanted!r}"


url = f"postgresql+psycopg://tester@{os.environ['PGHOST']}:{os.environ['PGPORT']}/default"
engine = sqlalchemy.create_engine(url)
inspector = sqlalchemy.inspect(engine)
same("spans" in inspector.get_table_names() and "public" in inspector.get_schema_names(), True)
same(inspector.get_view_names(), [])
columns = {column["name"]: column for column in inspector.get_columns("spans")}
types = {name: type(column["type"]) for name, column in columns.items()}
same(types["time"], postgresql.TIMESTAMP)
same((types["name"], types["duration_nano"], types["attributes"]), (sqlalchemy.TEXT, sqlalchemy.BIGINT, postgresql.JSONB))
same("W3C" in columns["flags"]["comment"], True)
same(inspector.get_table_comment("spans")["text"], "One row per span received over OTLP.")
same((inspector.get_pk_constraint("spans")["constrained_columns"], inspector.get_foreign_keys("spans")), ([], []))
same((inspector.get_indexes("spans"), inspector.get_unique_constraints("spans")), ([], []))
metadata = sqlalchemy.MetaData()
metadata.reflect(engine)
spans = metadata.tables["spans"]
with engine.connect() as connection:
    counted = sqlalchemy.select(sqlalchemy.func.count()).select_from(spans).where(spans.c.kind == 2)
    same(connection.execute(counted).scalar(), SPANS)
    row = connection.execute(sqlalchemy.select(spans.c.attributes).limit(1)).scalar()
    same(list(row), ["test.number"])
print("done")
