# shellcheck shell=bash disable=SC2154
# What the machine lacks: installed where that is ours to do, spelled out where it is not.

install_missing() {
    local server missing=() packages=()
    for server in "$@"; do
        "${server}_find" || missing+=("$server")
    done
    for server in "${missing[@]}"; do packages+=("$("${server}_package")"); done
    command -v openssl >/dev/null || packages+=(openssl)
    # For the tests of what stands before a database.
    PATH=$PATH:/usr/sbin command -v pgbouncer >/dev/null || packages+=(pgbouncer)
    ((${#packages[@]})) || return 0

    if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
        say "missing: ${packages[*]} (Debian's package names)"
        say "either install them (on Debian: sudo apt-get install --no-install-recommends ${packages[*]})"
        say "or name servers that may be written to:"
        for server in "${missing[@]}"; do "${server}_explain" >&2; done
        exit 1
    fi

    say "installing ${packages[*]}"
    apt_install "${packages[@]}" >"$services/apt.log" 2>&1 || {
        tail -n 30 "$services/apt.log" >&2
        die "apt-get failed; all of it is in $services/apt.log"
    }
    for server in "${missing[@]}"; do
        "${server}_find" || die "$server is still not found after installing $("${server}_package")"
    done
}

apt_install() (
    # Debian starts what it installs, on the standard port; policy-rc.d is its way to say no.
    policy=/usr/sbin/policy-rc.d
    # shellcheck disable=SC2317 # the trap calls it
    restore() {
        rm -f "$policy"
        [[ ! -e $policy.kept ]] || mv "$policy.kept" "$policy"
    }
    trap restore EXIT
    [[ ! -e $policy || -e $policy.kept ]] || mv "$policy" "$policy.kept"
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"

    export DEBIAN_FRONTEND=noninteractive
    apt=(apt-get -y -o DPkg::Lock::Timeout=120)
    # The lists may be absent, or name versions that the mirror no longer has.
    "${apt[@]}" install --no-install-recommends "$@" ||
        { "${apt[@]}" update && "${apt[@]}" install --no-install-recommends "$@"; }
)
