#!/bin/sh
# Runs before what the container runs. A container whose proxy does not start is one without a network: its log says why.
# $CONFIG_FILE, which the feature sets, is what each command of discobot goes by.
discobot proxy --log-file /var/lib/discobot/proxy.log >/dev/null &
for _ in $(seq 150); do
    discobot health >/dev/null 2>&1 && break
    sleep 0.2
done
discobot trust install
exec "$@"
