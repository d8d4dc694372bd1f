# shellcheck shell=bash disable=SC2154
# PostgreSQL: one superuser with a password, durable as in production (fsync on), no Unix socket.

postgres_package() { echo postgresql; }
postgres_port_count() { echo 1; }
postgres_explain() { echo "  CQRS_TEST_POSTGRES=postgres://user:password@host:5432/postgres   (14 or newer; may create databases)"; }

postgres_find() {
    # Debian keeps the server out of PATH, one directory per version.
    postgres_bin=$(compgen -G '/usr/lib/postgresql/*/bin' | sort -V | tail -n 1) || true
    [[ -x $postgres_bin/postgres ]] || postgres_bin=$(dirname "$(command -v postgres)" 2>/dev/null) || true
    [[ -x $postgres_bin/postgres && -x $postgres_bin/initdb ]] || return 1
    # It refuses to run as root.
    postgres_as=()
    ((EUID != 0)) || postgres_as=(setpriv --reuid=postgres --regid=postgres --init-groups --)
}

# $dir/postgres is the data's directory, or a link to one elsewhere when the postgres user cannot
# reach the checkout (a home of mode 700).
postgres_directory() {
    local place=$dir/postgres
    [[ ! -d $place ]] || return 0
    rm -f "$place"
    mkdir "$place"
    if ((EUID == 0)); then
        chown postgres: "$place"
        if ! "${postgres_as[@]}" test -w "$place"; then
            rmdir "$place"
            ln -s "$(mktemp -d "${TMPDIR:-/tmp}/cqrs-services.XXXXXX")" "$place"
            place=$(readlink -f "$place")
            chown postgres: "$place"
            "${postgres_as[@]}" test -w "$place" || die "the postgres user cannot write below ${TMPDIR:-/tmp}: set TMPDIR"
        fi
    fi
}

postgres_start() {
    local place data secret version
    postgres_directory
    place=$(readlink -f "$dir/postgres")
    data=$place/data
    postgres_kill

    version=$("$postgres_bin/postgres" --version | grep -oE '[0-9]+' | head -n 1)
    if [[ -f $data/PG_VERSION && $(<"$data/PG_VERSION") != "$version" ]]; then
        say "$name postgres: its data is of version $(<"$data/PG_VERSION"), the server of $version: starting afresh"
        rm -rf "$data"
    fi
    if [[ ! -f $data/postgresql.conf ]]; then
        # Without its last file, an earlier initdb was interrupted.
        rm -rf "$data"
        secret=$place/password
        install -m 600 /dev/null "$secret"
        password >"$secret"
        ((EUID != 0)) || chown postgres: "$secret"
        env -i PATH="$PATH" LANG=C.UTF-8 "${postgres_as[@]}" "$postgres_bin/initdb" --pgdata="$data" \
            --username=postgres --pwfile="$secret" --auth=scram-sha-256 --encoding=UTF8 \
            --locale=C.UTF-8 --data-checksums --no-sync >>"$dir/postgres.log" 2>&1 ||
            { tail -n 20 "$dir/postgres.log" >&2; die "initdb failed"; }
        rm -f "$secret"
    fi

    install -m 600 "$services/tls/server.key" "$services/tls/server.pem" "$data"
    ((EUID != 0)) || chown postgres: "$data/server.key" "$data/server.pem"
    cat >"$data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
port = $(port postgres 1)
unix_socket_directories = ''
ssl = on
ssl_cert_file = 'server.pem'
ssl_key_file = 'server.key'
# A database and a small pool per test, and many tests at once.
max_connections = 400
shared_buffers = 256MB
max_wal_size = 2GB
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %d %a '
CONF
    launch "$dir/postgres.pid" "$dir/postgres.log" "${postgres_as[@]}" "$postgres_bin/postgres" -D "$data"
}

postgres_ready() { "$postgres_bin/pg_isready" -q -h 127.0.0.1 -p "$(port postgres 1)"; }

# SIGINT is PostgreSQL's fast shutdown: it does not wait for clients to leave.
postgres_stop() { end "$dir/postgres.pid" INT; }

# The postmaster and its children, each of which leads a session of its own: all work in the data's
# directory. A postmaster killed by someone else leaves children that finish what they are doing.
postgres_processes() {
    local process data
    data=$(readlink -f "$dir/postgres")/data
    for process in /proc/[0-9]*; do
        [[ $(readlink "$process/cwd") == "$data" && $(<"$process/comm") == postgres ]] || continue
        echo "${process##*/}"
    done 2>/dev/null
}

postgres_kill() {
    local pids
    # Held still first, or the postmaster would replace a dead child before it dies itself.
    signal "$dir/postgres.pid" STOP
    while pids=$(postgres_processes) && [[ -n $pids ]]; do
        # shellcheck disable=SC2086
        kill -KILL $pids 2>/dev/null || true
        sleep 0.02
    done
    rm -f "$dir/postgres.pid"
    # To PostgreSQL, a postmaster that nobody has reaped is one that runs.
    rm -f "$(readlink -f "$dir/postgres")/data/postmaster.pid"
}

postgres_wipe() {
    [[ ! -L $dir/postgres ]] || rm -rf "$(readlink "$dir/postgres")"
    rm -rf "$dir"/postgres "$dir"/postgres.*
}

postgres_exports() {
    local at
    at=postgres://postgres:$(password)
    echo "export CQRS_TEST_POSTGRES='$at@127.0.0.1:$(port postgres 1)/postgres'"
    echo "export CQRS_TEST_POSTGRES_TLS='$at@localhost:$(port postgres 1)/postgres?sslmode=require'"
}
