#!/bin/sh
# Runs once: `autorestart` is false, so its end is an end ("completed").
echo "setup done"
