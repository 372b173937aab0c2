#!/bin/sh
# Ticks until it is told to stop.
trap 'echo "clock stops"; exit 0' TERM INT
echo "clock runs, pid $$"
while :; do
    sleep "${EVERY:-2}" &
    wait $!
    date '+tick %H:%M:%S'
done
