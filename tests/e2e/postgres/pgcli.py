"""pgcli: what it completes, its backslash commands, and a statement typed into it in a terminal."""

import os
import sys
import tempfile

import pexpect
import pgspecial
from pgcli.pgexecute import PGExecute

SPANS = int(sys.argv[1])
# For every wait; each takes a fraction of it.
DEADLINE_SECONDS = 100


def same(found, wanted):
    assert found == wanted, f"{found!r} is not {wanted!r}"


host, port = os.environ["PGHOST"], os.environ["PGPORT"]
client = PGExecute("default", "tester", "", host, port, "")
same(list(client.search_path()), ["pg_catalog", "public"])
same("public" in client.schemata(), True)
same(("public", "spans") in list(client.tables()), True)
columns = {name: kind for schema, table, name, kind, *_ in client.table_columns() if (schema, table) == ("public", "spans")}
same((columns["time"], columns["duration_nano"], columns["attributes"]), ("timestamp with time zone", "bigint", "jsonb"))
same(list(client.foreignkeys()), [])
functions = {function.func_name: function for function in client.functions()}
same(functions["golden"].is_set_returning, True)
same(list(client.databases()), ["default"])
for command in [r"\d", r"\dt+", r"\dv", r"\df", r"\df+", r"\d spans", r"\d+ spans", r"\dn+", r"\l+", r"\du+", r"\dT", r"\dp",
                r"\ddp", r"\dx", r"\dE", r"\db", r"\dF", r"\di", r"\ds", r"\dm", r"\sf golden"]:
    for title, rows, headers, status, sql, success, is_special in client.run(command, pgspecial=pgspecial.PGSpecial()):
        same((command, success, status), (command, True, status))
with tempfile.TemporaryDirectory() as home:
    # A terminal that is dumb gets no pager and no colours.
    environment = os.environ | {"HOME": home, "XDG_CONFIG_HOME": home, "TERM": "dumb", "PAGER": "cat", "LC_ALL": "C.UTF-8"}
    pgcli = pexpect.spawn(
        sys.executable, ["-m", "pgcli.main", "-h", host, "-p", port, "-U", "tester", "--less-chatty", "default"],
        env=environment, timeout=DEADLINE_SECONDS, encoding="utf-8", dimensions=(60, 200),
    )
    pgcli.expect("default> ")
    pgcli.sendline(f"SELECT count(*) + 7000000 FROM spans;")
    pgcli.expect(str(7_000_000 + SPANS))
    pgcli.sendline("\\q")
    pgcli.expect(pexpect.EOF)
print("done")
