#!/bin/sh
# run.sh [BUILD_DIR] [OPTION...]: runs all benchmarks, one at a time, and prints their tables; `make bench` after building.
# OPTIONs go to each of them: --quick, --json, --huge-pages, --rounds N, --seed N. The count of instructions is left out with
# --json and --quick. Two runs on one machine wait for each other.
set -eu

source_dir=$(cd "$(dirname "$0")/.." && pwd)
build_dir=$source_dir/build
case ${1:-} in
'' | -*) ;;
*)
	build_dir=$1
	shift
	;;
esac
wants_tables=yes
case " $* " in
*' --json '* | *' --quick '*) wants_tables=no ;;
esac

exec 9>"$build_dir/bench.lock"
flock 9

if [ "$wants_tables" = yes ]; then
	grep -m1 'model name' /proc/cpuinfo | sed 's/.*: //'
	echo "$(nproc) processors, Linux $(uname -r), load $(cut -d' ' -f1 /proc/loadavg)"
fi
for name in pairs moves pauses snapshot steps large metadata cache-density hops under-load; do
	if [ "$wants_tables" = yes ]; then printf '\n== bench-%s\n' "$name"; fi
	"$build_dir/bench/bench-$name" "$@"
done
if [ "$wants_tables" = yes ]; then
	printf '\n== instructions (callgrind)\n'
	"$source_dir/bench/instructions.sh" "$build_dir" - | sed -n '/^|/p'
fi
