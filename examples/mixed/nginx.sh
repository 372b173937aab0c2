#!/bin/sh
# nginx in the foreground as any user: everything it writes is below a directory of its own.
# `exec`, so that the supervisor's child is nginx itself and gets its signals.
here=$(cd "$(dirname "$0")" && pwd)
work=${NGINX_WORK:-${TMPDIR:-/tmp}/rsm-mixed-nginx.$(id -u)}
mkdir -p "$work" || exit 1
PATH=$PATH:/usr/sbin
echo "nginx starts on port 8080"
exec nginx -p "$work" -e stderr -c "$here/nginx.conf" -g 'daemon off;'
