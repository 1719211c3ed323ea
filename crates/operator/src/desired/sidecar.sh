# Runs PostgreSQL and never ends by itself: a sidecar that is down makes its pod NotReady and, at the
# start of a pod, holds the node back. The database is a copy of what the node knows: while it is away
# the node votes, leads and serves, and an empty one is filled again.
set -u
say() { echo "sidecar: $*" >&2; }

major=${PG_MAJOR:-$(postgres --version | sed 's/^[^0-9]*//; s/[^0-9].*$//')}
PATH=$PATH:/usr/lib/postgresql/$major/bin
# A new major version starts empty beside the old one.
PGDATA=$DATA_ROOT/pgdata-$major
export PATH PGDATA

stopping=
child=
stop() {
  stopping=yes
  # SIGINT is PostgreSQL's fast shutdown.
  [ -z "$child" ] || kill -INT "$child" 2>/dev/null
}
trap stop TERM INT

# The directory gets its name in the last step: one that was begun and not finished is never taken for
# a database. Nobody but the pod reaches the socket, so nobody is asked for a password.
initialise() {
  say "making $PGDATA"
  rm -rf "$PGDATA" "$PGDATA.new" &&
    initdb -D "$PGDATA.new" -U postgres $POSTGRES_INITDB_ARGS \
      --auth-local="$POSTGRES_HOST_AUTH_METHOD" --auth-host=reject &&
    printf 'CREATE ROLE dmq LOGIN;\nCREATE DATABASE dmq OWNER dmq;\n' |
    postgres --single -D "$PGDATA.new" -c exit_on_error=on postgres &&
    mv "$PGDATA.new" "$PGDATA"
}

# Starts the server and waits for its end. A stop is repeated until it is heard: a server that has just
# been started does not listen to signals yet.
serve() {
  chmod 0700 "$PGDATA"
  postgres -D "$PGDATA" -c listen_addresses= -c unix_socket_directories="$SOCKET_DIR" &
  child=$!
  while kill -0 "$child" 2>/dev/null; do
    if [ -z "$stopping" ]; then
      wait "$child"
      code=$?
    else
      kill -INT "$child" 2>/dev/null
      sleep 0.1
    fi
  done
  child=
  [ -n "$stopping" ] || say "PostgreSQL ended with code $code"
}

delay=1
while [ -z "$stopping" ]; do
  began=$(date +%s)
  if [ -s "$PGDATA/PG_VERSION" ] || initialise; then
    [ -n "$stopping" ] || serve
  fi
  [ -z "$stopping" ] || break
  [ $(($(date +%s) - began)) -lt 60 ] || delay=1
  say "starting it again in $delay s"
  sleep "$delay" &
  pause=$!
  wait "$pause"
  kill "$pause" 2>/dev/null
  delay=$((delay * 2))
  [ "$delay" -le 30 ] || delay=30
done
say "stopped"
