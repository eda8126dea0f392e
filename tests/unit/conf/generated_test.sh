#!/bin/sh
# The files made from the schema table are what yoke-schema prints. Usage: generated_test.sh
# YOKE_SCHEMA CONF_DIR
set -eu
tool=$1 conf=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$tool" --json >"$dir/yoke.schema.json"
"$tool" --man "A single balancer:" "$conf/examples/minimal.json" \
	"A pair:" "$conf/examples/pair.json" \
	"A pair between two networks, with tracking:" "$conf/examples/tracking.json" \
	"Routes:" "$conf/examples/routes.json" >"$dir/yoke.json.5"
for file in yoke.schema.json yoke.json.5; do
	if ! diff -u "$conf/$file" "$dir/$file"; then
		echo "conf/$file is out of date: ninja conf-generate" >&2
		exit 1
	fi
done
