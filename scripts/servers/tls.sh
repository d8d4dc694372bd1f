# shellcheck shell=bash disable=SC2154
# A private CA and one certificate for localhost, for the tests of `amqps://` and `sslmode`.

make_certificates() {
    local tls=$services/tls
    openssl x509 -in "$tls/server.pem" -noout -checkend 86400 >/dev/null 2>&1 && return
    rm -rf "$tls"
    mkdir -p "$tls"
    cat >"$tls/openssl.cnf" <<'CNF'
[req]
distinguished_name = name
[name]
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, IP:127.0.0.1
CNF
    (
        cd "$tls" && umask 077
        new_key=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -config openssl.cnf)
        openssl req -x509 "${new_key[@]}" -keyout ca.key -out ca.pem -days 3650 \
            -subj "/CN=cqrs test CA" -extensions ca
        openssl req "${new_key[@]}" -keyout server.key -out server.csr -subj "/CN=localhost"
        openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 800 \
            -out server.pem -extfile openssl.cnf -extensions server
        # It has signed all that it ever will.
        rm -f ca.key server.csr ca.srl
        chmod a+r ca.pem server.pem
    ) 2>"$tls/openssl.log" || { cat "$tls/openssl.log" >&2; die "no certificates"; }
}
