# shellcheck shell=bash disable=SC2154
# Processes that outlive this script, known by pid and start time: a pid alone may be a stranger's by now.

started_at() {
    local stat fields
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    read -ra fields <<<"${stat##*) }"
    # A zombie is over; in a container nobody may ever reap it.
    [[ ${fields[0]} != Z ]] && echo "${fields[19]}"
}

alive() {
    local pid start
    [[ -f $1 ]] && read -r pid start <"$1" && [[ $(started_at "$pid") == "$start" ]]
}

# launch PIDFILE LOG COMMAND...: in a session of its own, out of reach of the terminal's Ctrl-C, and
# with nothing of the caller's environment, where a PGDATA or RABBITMQ_NODENAME may name another server.
launch() {
    local pidfile=$1 log=$2
    shift 2
    setsid env -i PATH="$PATH" LANG=C.UTF-8 "$@" </dev/null >>"$log" 2>&1 8>&- 9>&- &
    echo "$! $(started_at $! || true)" >"$pidfile"
    disown
}

# signal PIDFILE SIGNAL: to that process, if it is still that process.
signal() {
    local pid
    alive "$1" || return 0
    read -r pid _ <"$1"
    kill -s "$2" "$pid" 2>/dev/null || true
}

# end PIDFILE SIGNAL: ask, wait, and insist after 30 s.
end() {
    local try
    signal "$1" "$2"
    for try in {1..600}; do
        alive "$1" || break
        ((try != 599)) || { say "$1 ignored SIG$2 for 30 s"; signal "$1" KILL; }
        sleep 0.05
    done
    rm -f "$1"
}

# wait_ready SERVER: up to 90 s, for a machine that is compiling at the same time.
wait_ready() {
    local server=$1 deadline=$((SECONDS + 90))
    until "${server}_ready"; do
        if ! alive "$dir/$server.pid" || ((SECONDS > deadline)); then
            tail -n 30 "$dir/$server".*log >&2 || true
            die "$name $server did not start; its log is $dir/$server.log"
        fi
        sleep 0.1
    done
}
