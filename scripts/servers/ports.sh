# shellcheck shell=bash disable=SC2154
# Ports are chosen once per instance and kept, so that clients find a restarted server where it was.

listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

port() {
    local ports
    read -ra ports <"$dir/$1.ports"
    echo "${ports[$2 - 1]}"
}

# Below the range from which the kernel serves outgoing connections: nobody takes the port of a
# server that is down for a moment.
choose_ports() {
    local file=$dir/$1.ports count chosen=() candidate
    count=$("${1}_port_count")
    if [[ -s $file ]]; then
        for candidate in $(<"$file"); do
            ! listening "$candidate" || die "$name $1: another process took its port $candidate; \`stop --wipe\` forgets the ports"
        done
        return
    fi
    while ((${#chosen[@]} < count)); do
        candidate=$((20000 + RANDOM % 12000))
        [[ " ${chosen[*]} " != *" $candidate "* ]] || continue
        ! grep -qsw "$candidate" "$services"/instances/*/*.ports || continue
        listening "$candidate" || chosen+=("$candidate")
    done
    echo "${chosen[*]}" >"$file"
}

# A secret per instance: loopback is open to every user of the machine.
password() {
    local file=$dir/password
    [[ -s $file ]] || (umask 077 && openssl rand -hex 12 >"$file")
    cat "$file"
}
