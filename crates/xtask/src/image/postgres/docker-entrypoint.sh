#!/bin/sh
# Starts PostgreSQL, after it has made a database from the environment where there is none. It honours the variables of
# the official image: POSTGRES_PASSWORD, POSTGRES_USER, POSTGRES_DB, POSTGRES_INITDB_ARGS (each also as <name>_FILE),
# POSTGRES_INITDB_WALDIR, POSTGRES_HOST_AUTH_METHOD, PGDATA, and the scripts in /docker-entrypoint-initdb.d.
set -eu

# say TEXT: everything that is meant for people goes to standard error.
say() {
    printf '%s\n' "$*" >&2
}

# from_file NAME DEFAULT: exports NAME from the file that NAME_FILE names, or keeps what it is, or takes the default.
from_file() {
    eval "value=\${$1:-} file=\${$1_FILE:-}"
    if [ -n "$value" ] && [ -n "$file" ]; then
        say "error: both $1 and $1_FILE are set (but are exclusive)"
        exit 1
    fi
    if [ -n "$file" ]; then
        value=$(cat "$file")
    fi
    export "$1=${value:-$2}"
    unset "$1_FILE"
}

# quote ARGUMENTS: the arguments as words of a command line, for pg_ctl, which hands its options to a shell.
quote() {
    for argument in "$@"; do
        printf "'%s' " "$(printf %s "$argument" | sed "s/'/'\\\\''/g")"
    done
}

wants_help() {
    for argument in "$@"; do
        case "$argument" in
            -'?' | --help | --describe-config | -V | --version) return 0 ;;
        esac
    done
    return 1
}

make_directories() {
    mkdir -p "$PGDATA"
    # A directory that somebody else owns keeps its permissions; PostgreSQL says what it thinks of them.
    chmod 00700 "$PGDATA" || :
    mkdir -p /var/run/postgresql || :
    chmod 03775 /var/run/postgresql 2>/dev/null || :
    if [ -n "${POSTGRES_INITDB_WALDIR:-}" ]; then
        mkdir -p "$POSTGRES_INITDB_WALDIR"
        chmod 700 "$POSTGRES_INITDB_WALDIR"
    fi
    if [ "$(id -u)" = 0 ]; then
        chown -R postgres "$PGDATA" /var/run/postgresql ${POSTGRES_INITDB_WALDIR:+"$POSTGRES_INITDB_WALDIR"}
    fi
}

check_environment() {
    if [ -z "$POSTGRES_PASSWORD" ] && [ "${POSTGRES_HOST_AUTH_METHOD:-}" != trust ]; then
        say "Error: Database is uninitialized and superuser password is not specified."
        say "       You must specify POSTGRES_PASSWORD to a non-empty value for the superuser, or"
        say "       POSTGRES_HOST_AUTH_METHOD=trust to allow all connections without a password."
        exit 1
    fi
}

init_database() {
    password=$(mktemp)
    printf '%s\n' "$POSTGRES_PASSWORD" >"$password"
    set -- --username="$POSTGRES_USER" --pwfile="$password"
    if [ -n "${POSTGRES_INITDB_WALDIR:-}" ]; then
        set -- "$@" --waldir="$POSTGRES_INITDB_WALDIR"
    fi
    # The arguments of the variable are words of a shell, as in the official image.
    eval 'initdb "$@" '"$POSTGRES_INITDB_ARGS"
    rm -f "$password"
}

allow_hosts() {
    shift
    method=${POSTGRES_HOST_AUTH_METHOD:-$(postgres -C password_encryption "$@")}
    printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
}

# The server of the first start listens on its socket only, so that nobody meets a database that is half made.
start_for_setup() {
    shift
    options=$(quote "$@" -c "listen_addresses=" -p "${PGPORT:-5432}")
    pg_ctl -D "$PGDATA" -o "$options" -w start
}

sql() {
    PGHOST='' PGHOSTADDR='' psql -v ON_ERROR_STOP=1 --no-password --no-psqlrc --username "$POSTGRES_USER" "$@"
}

make_user_database() {
    if [ "$POSTGRES_DB" != postgres ]; then
        there=$(printf '%s\n' "SELECT 1 FROM pg_database WHERE datname = :'db';" |
            sql --dbname postgres --set db="$POSTGRES_DB" --tuples-only)
        if [ -z "$there" ]; then
            printf '%s\n' 'CREATE DATABASE :"db";' | sql --dbname postgres --set db="$POSTGRES_DB"
        fi
    fi
}

run_scripts() {
    for script in /docker-entrypoint-initdb.d/*; do
        case "$script" in
            *.sh) say "running $script" && PGPASSWORD="$POSTGRES_PASSWORD" sh "$script" ;;
            *.sql) say "running $script" && sql --dbname "$POSTGRES_DB" --file "$script" ;;
            */\*) ;;
            *) say "ignoring $script" ;;
        esac
    done
}

first_start() {
    check_environment
    init_database
    allow_hosts "$@"
    export PGPASSWORD="$POSTGRES_PASSWORD"
    start_for_setup "$@"
    make_user_database
    run_scripts
    pg_ctl -D "$PGDATA" -m fast -w stop
    unset PGPASSWORD
    say "PostgreSQL init process complete; ready for start up."
}

case "${1:-}" in
    -*) set -- postgres "$@" ;;
esac

if [ "${1:-}" = postgres ] && ! wants_help "$@"; then
    make_directories
    if [ "$(id -u)" = 0 ]; then
        exec chroot --userspec=postgres:postgres / "$0" "$@"
    fi
    from_file POSTGRES_PASSWORD ''
    from_file POSTGRES_USER postgres
    from_file POSTGRES_DB "$POSTGRES_USER"
    from_file POSTGRES_INITDB_ARGS ''
    if [ -s "$PGDATA/PG_VERSION" ]; then
        say "PostgreSQL Database directory appears to contain a database; Skipping initialization"
    else
        first_start "$@"
    fi
fi

exec "$@"
