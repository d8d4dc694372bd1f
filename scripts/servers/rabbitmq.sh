# shellcheck shell=bash disable=SC2154
# RabbitMQ: one node with its own epmd, home and cookie, so that it meets no other Erlang on the machine.

rabbitmq_package() { echo rabbitmq-server; }
rabbitmq_port_count() { echo 4; } # AMQP, AMQP over TLS, distribution, epmd
rabbitmq_explain() { echo "  CQRS_TEST_RABBITMQ=amqp://user:password@host:5672/%2f   (3.10 or newer; all permissions)"; }

rabbitmq_find() {
    # Debian's scripts in PATH insist on the user rabbitmq and on /var/lib/rabbitmq; those below do not.
    rabbitmq_bin=/usr/lib/rabbitmq/bin
    [[ -x $rabbitmq_bin/rabbitmq-server ]] || rabbitmq_bin=$(dirname "$(command -v rabbitmq-server)" 2>/dev/null) || true
    [[ -x $rabbitmq_bin/rabbitmq-server ]] && command -v erl >/dev/null && command -v epmd >/dev/null
}

# For the node and for rabbitmqctl, which joins it as a node of its own.
rabbitmq_settings() {
    local place=$dir/rabbitmq loopback='-kernel inet_dist_use_interface {127,0,0,1}'
    rabbitmq_env=(
        HOME="$place"
        ERL_EPMD_PORT="$(port rabbitmq 4)"
        ERL_EPMD_ADDRESS=127.0.0.1
        RABBITMQ_NODENAME="cqrs-$name@localhost"
        RABBITMQ_DIST_PORT="$(port rabbitmq 3)"
        RABBITMQ_MNESIA_BASE="$place/mnesia"
        RABBITMQ_LOG_BASE="$place"
        RABBITMQ_LOGS="$dir/rabbitmq.log"
        RABBITMQ_PID_FILE="$place/node.pid"
        RABBITMQ_ENABLED_PLUGINS_FILE="$place/enabled_plugins"
        RABBITMQ_CONFIG_FILE="$place/rabbitmq.conf"
        RABBITMQ_ADVANCED_CONFIG_FILE="$place/advanced.config"
        RABBITMQ_CONF_ENV_FILE=/dev/null
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="$loopback"
        RABBITMQ_CTL_ERL_ARGS="$loopback"
        # Makes its script exec Erlang, so that the pid we know is the server's.
        RUNNING_UNDER_SYSTEMD=true
    )
}

rabbitmq_start() {
    local place=$dir/rabbitmq
    mkdir -p "$place"
    chmod 700 "$place"
    echo '[].' >"$place/enabled_plugins"
    echo '[].' >"$place/advanced.config"
    (umask 077 && cat >"$place/rabbitmq.conf") <<CONF
listeners.tcp.1 = 127.0.0.1:$(port rabbitmq 1)
listeners.ssl.1 = 127.0.0.1:$(port rabbitmq 2)
ssl_options.cacertfile = $services/tls/ca.pem
ssl_options.certfile = $services/tls/server.pem
ssl_options.keyfile = $services/tls/server.key
ssl_options.verify = verify_none
ssl_options.fail_if_no_peer_cert = false
default_user = cqrs
default_pass = $(password)
# The defaults are made for a machine of its own; an alarm here would block publishers for no reason.
disk_free_limit.absolute = 50MB
vm_memory_high_watermark.absolute = 2GB
log.console = false
CONF
    rabbitmq_settings
    # Ours rather than the one Erlang would leave behind as a daemon.
    alive "$dir/epmd.pid" || launch "$dir/epmd.pid" "$dir/rabbitmq.out.log" \
        epmd -port "$(port rabbitmq 4)" -address 127.0.0.1
    launch "$dir/rabbitmq.pid" "$dir/rabbitmq.out.log" "${rabbitmq_env[@]}" "$rabbitmq_bin/rabbitmq-server"
}

# Ready when it answers the protocol header with its first frame, Connection.Start (type 1).
rabbitmq_ready() {
    local frame
    (
        exec 3<>"/dev/tcp/127.0.0.1/$(port rabbitmq 1)"
        printf 'AMQP\0\0\11\1' >&3
        LC_ALL=C read -r -t 2 -N 1 -u 3 frame
        [[ $frame == $'\1' ]]
    ) 2>/dev/null
}

rabbitmq_stop() {
    end "$dir/rabbitmq.pid" TERM
    # After the node, which would start another.
    end "$dir/epmd.pid" TERM
}

rabbitmq_kill() { end "$dir/rabbitmq.pid" KILL; }

rabbitmq_wipe() { rm -rf "$dir"/rabbitmq "$dir"/rabbitmq.* "$dir"/epmd.*; }

rabbitmq_exports() {
    local at
    at=://cqrs:$(password)
    echo "export CQRS_TEST_RABBITMQ='amqp$at@127.0.0.1:$(port rabbitmq 1)/%2f'"
    echo "export CQRS_TEST_RABBITMQ_TLS='amqps$at@localhost:$(port rabbitmq 2)/%2f'"
}

rabbitmq_ctl() {
    rabbitmq_find || die "rabbitmqctl is not installed"
    [[ -f $dir/rabbitmq.ports ]] || die "$name rabbitmq was never started"
    rabbitmq_settings
    env -i PATH="$PATH" LANG=C.UTF-8 "${rabbitmq_env[@]}" "$rabbitmq_bin/rabbitmqctl" "$@"
}
