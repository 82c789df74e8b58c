#!/usr/bin/env bash
# Removes what the last `make install` of this build directory put where it put it, and folders of snug's own that are empty then. A config that
# was changed stays, and is named.
#
#     packaging/uninstall.sh BUILD_DIRECTORY
set -euo pipefail
build=$1
log=$build/meson-logs/install-log.txt
config_note=$build/packaging/installed-config
if [[ ! -f $log ]]; then
	echo "make uninstall: nothing was installed from $build/" >&2
	exit 1
fi
mapfile -t files < <(grep -v '^#' "$log")
if [[ -f $config_note ]]; then
	config=$(<"$config_note")
	sample=$(printf '%s\n' "${files[@]}" | grep '/snugd/snugd\.conf$' || true)
	if [[ -f $config && -f $sample ]] && cmp -s "$config" "$sample"; then
		files+=("$config")
	elif [[ -f $config ]]; then
		echo "make uninstall: $config was changed, and stays"
	fi
	rm -- "$config_note"
fi
removed=0
for file in "${files[@]}"; do
	[[ ! -d $file ]] || continue
	[[ -e $file || -L $file ]] || continue
	rm -- "$file"
	removed=$((removed + 1))
done
for file in "${files[@]}"; do
	case $(dirname "$file") in
	*/snug | */snugd) rmdir -- "$(dirname "$file")" 2>/dev/null || true ;;
	esac
done
rm -- "$log"
echo "$removed files removed"
