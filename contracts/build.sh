#!/bin/sh
# Rebuilds the artifact Inbox.json and the Go bindings in ../l1/ethereum/inbox from Inbox.sol.
# Needs node and npm (for the compiler, the package solc) and go. With SOLC_DIR set, the node_modules in it are used and nothing is
# installed; with OUT_DIR set, both files are written there instead.
set -eu
cd "$(dirname "$0")"
version=0.8.30

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
modules=${SOLC_DIR:-}
if [ -z "$modules" ]; then
    npm install --prefix "$tmp" --no-save --no-package-lock --no-audit --no-fund --silent "solc@$version"
    modules=$tmp
fi
node compile.js "$modules" >"$tmp/Inbox.json"
node -e '
const fs = require("fs"), a = JSON.parse(fs.readFileSync(process.argv[1] + "/Inbox.json"));
fs.writeFileSync(process.argv[1] + "/abi", JSON.stringify(a.abi));
fs.writeFileSync(process.argv[1] + "/bin", a.bytecode.slice(2));
' "$tmp"
go run github.com/ethereum/go-ethereum/cmd/abigen --v2 --abi "$tmp/abi" --bin "$tmp/bin" --type Inbox --pkg inbox --out "$tmp/inbox.raw"
{
    head -1 "$tmp/inbox.raw"
    echo '//lint:file-ignore ST1005 the generator words its errors'
    tail -n +2 "$tmp/inbox.raw"
} >"$tmp/inbox.go"
out=${OUT_DIR:-}
if [ -n "$out" ]; then
    install -m 644 "$tmp/Inbox.json" "$tmp/inbox.go" "$out/"
else
    install -m 644 "$tmp/Inbox.json" Inbox.json
    install -m 644 "$tmp/inbox.go" ../l1/ethereum/inbox/inbox.go
fi
