"""Types into `meshlake sql` as a person does, in a terminal, and looks at what it shows.

Usage: shell.py MESHLAKE SERVER STATE_DIR. Prints `all of it` when everything was as it has to be.
"""

import os
import re
import stat
import sys
import time

import pexpect

PROMPT = "meshlake=> "
# For every wait; each takes a fraction of it.
DEADLINE_SECONDS = 60

binary, server, state = sys.argv[1:]
environment = os.environ | {"XDG_STATE_HOME": state, "PAGER": "cat"}


def start(terminal="dumb"):
    shell = pexpect.spawn(
        binary, ["sql", "--server", server], env=environment | {"TERM": terminal}, timeout=DEADLINE_SECONDS,
        encoding="utf-8", dimensions=(40, 200),
    )
    shell.expect_exact(PROMPT)
    assert server in shell.before, shell.before
    return shell


def ask(shell, line):
    shell.sendline(line)
    shell.expect_exact(PROMPT)
    # A terminal that is dumb repeats what was typed.
    return shell.before.replace("\r", "")


shell = start()
assert re.search(r"one  two\n-+  -+\n +1  x\n\(1 row\)", ask(shell, "SELECT 1 AS one, 'x' AS two;"))

# A statement goes on until its semicolon.
shell.sendline("SELECT 40 +")
shell.sendline("2 AS answer; -- ; done")
shell.expect_exact("(1 row)")
assert "42" in shell.before, shell.before
shell.expect_exact(PROMPT)

assert re.search(r"\bspans\b", ask(shell, "\\dt"))
described = ask(shell, "\\d spans")
assert re.search(r"trace_id +\S*Utf8", described), described
assert "there is no table nothing" in ask(shell, "\\d nothing")
assert re.search(r"time_bucket", ask(shell, "\\df bucket"))
assert re.search(r"golden +table", ask(shell, "\\df golden"))
assert "there is no command" in ask(shell, "\\nothing")
assert "\\watch" in ask(shell, "\\?")

assert "a value a line" in ask(shell, "\\x")
assert re.search(r"-\[ row 1 \]-+\na +\| 1\n", ask(shell, "SELECT 1 AS a;"))
assert "a row a line" in ask(shell, "\\x")

assert "timing is on" in ask(shell, "\\timing")
assert re.search(r"\d+\.\d ms", ask(shell, "SELECT 1;"))
assert "timing is off" in ask(shell, "\\timing")

# An error ends neither the shell nor what is typed after it.
assert "SELEC" in ask(shell, "SELEC 1;")
assert "(1 row)" in ask(shell, "SELECT 1;")

# Ctrl-C stops the statement and not the shell.
shell.sendline("SELECT count(*) FROM spans a, spans b, spans c, spans d WHERE a.name || b.name || c.name || d.name = 'none';")
shell.expect(r"1 s, \d+ bytes of the answer; Ctrl-C stops it")
shell.sendintr()
shell.expect_exact("stopped")
shell.expect_exact(PROMPT)
assert "(1 row)" in ask(shell, "SELECT 1;")

# The last statement is watched.
shell.sendline("\\watch 0.2")
for _ in range(3):
    shell.expect_exact("(1 row)")
shell.sendintr()
shell.expect_exact("stopped")
shell.expect_exact(PROMPT)

shell.sendline("\\q")
shell.expect(pexpect.EOF)
shell.close()
assert shell.exitstatus == 0, shell.exitstatus

# What was typed is remembered, and nobody else can read it.
history = os.path.join(state, "meshlake", "history")
assert stat.S_IMODE(os.stat(history).st_mode) == 0o600, oct(os.stat(history).st_mode)
shell = start("xterm")
shell.send("\x1b[A\x1b[A")
shell.expect_exact("\\watch")
shell.sendintr()

# A table, a column and a key that exist are completed once their names have come.
for begun, whole in [
    ("SELECT count(*) FROM led", "FROM ledger"),
    ("SELECT service_insta", "SELECT service_instance_id"),
    ("SELECT attributes['test.nu", "['test.number']"),
]:
    shell.send(begun)
    for _ in range(DEADLINE_SECONDS):
        shell.send("\t")
        if shell.expect_exact([whole, pexpect.TIMEOUT], timeout=1) == 0:
            break
    else:
        raise AssertionError(begun)
    shell.sendintr()
    shell.expect_exact(PROMPT)
shell.sendeof()
shell.expect(pexpect.EOF)
print("all of it")
