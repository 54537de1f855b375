#!/bin/sh
# Run beside varnishd, for instance as ExecStart of varnishncsa.service: a line per request into a file that meshlake
# follows. meshlake.toml, beside this file, has the same format and reads the lines. Begin and duration are in
# microseconds.
exec varnishncsa -a -w /var/log/varnish/meshlake.log \
  -F '%{usec}t %D %h "%r" %s %O "%{Host}i" "%{X-Request-Id}i" "%{traceparent}i" "%{X-Forwarded-For}i" "%{User-Agent}i"'
