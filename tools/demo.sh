#!/bin/sh
# demo.sh: what `make demo` shows, in under two minutes: Meta's published sizes fill the heap and flip, fragmentation rises, an
# estimate, a defragmentation, its report beside the estimate, the memory before and after, and the mallocs' RSS beside it.
# Usage: tools/demo.sh [build directory] [options of snug-replay --demo]
set -eu
build=${1:-build}
[ $# -gt 0 ] && shift
exec "$build/snug-replay" --demo --map "$build/demo-map.svg" --plot "$build/demo-plot.svg" "$@"
