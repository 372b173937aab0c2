#!/bin/sh
# One of several: knows which one it is, does nothing, and says goodbye when stopped.
trap 'echo "worker $RSM_INSTANCE of $RSM_INSTANCES stops"; exit 0' TERM INT
echo "worker $RSM_INSTANCE of $RSM_INSTANCES runs, pid $$"
while :; do
    sleep 3600 &
    wait $!
done
