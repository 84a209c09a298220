#!/bin/sh
# Makes a connector in the current directory:
#
#   templates/create_connector.sh MyCustomAPI                # a source for an HTTP API
#   templates/create_connector.sh MyCustomAPI source-sql     # or another kind; further options are those of `cdk new`
set -eu
if [ $# -eq 0 ]; then
    echo "usage: $0 NAME [KIND] [OPTIONS OF cdk new]" >&2
    exit 2
fi
name=$1
shift
kind=source-http
case "${1:-}" in
source-* | destination) kind=$1 && shift ;;
esac

if [ -n "${CDK:-}" ]; then
    exec "$CDK" new "$kind" "$name" "$@"
elif command -v cdk >/dev/null 2>&1; then
    exec cdk new "$kind" "$name" "$@"
fi
root=$(cd "$(dirname "$0")/.." && pwd)
exec cargo run --quiet --manifest-path "$root/Cargo.toml" --package cdk-cli -- new "$kind" "$name" "$@"
