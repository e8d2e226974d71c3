#!/bin/sh
# Usage: wait.sh NODE HEIGHT. It ends when the safe head of the node has reached the height, and prints the node's answer.
set -eu
curl --silent --show-error --fail-with-body --retry 5 --retry-connrefused "$1/v1/wait?height=$2&timeout=1m"
