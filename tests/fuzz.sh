#!/usr/bin/env bash
# Runs each fuzz target of a build directory for some seconds, from the corpus in tests/fuzz/corpus/<target>.
#
#     tests/fuzz.sh BUILD_DIRECTORY SECONDS
#
# New inputs go to BUILD_DIRECTORY/corpus, findings to BUILD_DIRECTORY/findings; a finding ends the run with an error.
set -euo pipefail
build=$1
seconds=$2
here=$(dirname "$0")
mapfile -t targets < <(find "$build/tests/fuzz" -maxdepth 1 -type f -executable -name 'fuzz_*' | sort)
if [[ ${#targets[@]} -eq 0 ]]; then
	echo "no fuzz targets in $build" >&2
	exit 1
fi
for target in "${targets[@]}"; do
	name=$(basename "$target")
	mkdir -p "$build/corpus/$name" "$build/findings"
	seeds=()
	[[ -d $here/fuzz/corpus/$name ]] && seeds=("$here/fuzz/corpus/$name")
	echo "== $name, $seconds seconds"
	"$target" -max_total_time="$seconds" -timeout=25 -print_final_stats=1 -artifact_prefix="$build/findings/$name-" \
		"$build/corpus/$name" "${seeds[@]}"
done
