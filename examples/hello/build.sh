#!/bin/sh
# Builds hello.wasm beside this script, the module that job.yaml names.
set -eu
cd "$(dirname "$0")"
GOOS=wasip1 GOARCH=wasm go build -trimpath -ldflags="-s -w" -o hello.wasm .
