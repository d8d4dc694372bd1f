# shellcheck shell=bash
# stage NAME COMMAND...: says what runs, and how long it took.
stage() {
    local name=$1 since=$SECONDS
    shift
    echo "== $name"
    "$@" || return
    echo "== $name: $((SECONDS - since)) s"
}
