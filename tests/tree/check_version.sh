#!/usr/bin/env bash
# There is one version, the project's in meson.build: whatever else tells it tells the same.
#
#     check_version.sh SOURCE_ROOT PROJECT_VERSION PKG_CONFIG_FILE
set -uo pipefail
root=$1
version=$2
package=$3
. "$(dirname "$0")/cases.sh"

header_number() { sed -n "s/^#define SNUG_VERSION_$1 \([0-9]*\)$/\1/p" "$root/include/snug/version.h"; }
header_tells_it() { [[ $(header_number MAJOR).$(header_number MINOR).$(header_number PATCH) == "$version" ]]; }

# The programs write their own pages; these are written by hand.
pages_tell_it() {
	local page
	for page in "$root"/docs/man/*.[1-8]; do
		grep -q "^\.TH .* \"snug $version\" " "$page" && continue
		head -n 1 "$page"
		return 1
	done
}

package_tells_it() { grep -qx "Version: $version" "$package"; }
debian_tells_it() { head -n 1 "$root/packaging/debian/changelog" | grep -qF "snug ($version"; }
changelog_tells_it() { grep -q "To become $version,\|^## \[$version\]" "$root/CHANGELOG.md"; }

python_tells_it() { grep -qx "version = \"$version\"" "$root/python/pyproject.toml"; }

begin_cases 6
run_case the_header_tells_it header_tells_it
run_case the_manual_pages_tell_it pages_tell_it
run_case pkg_config_tells_it package_tells_it
run_case the_debian_package_tells_it debian_tells_it
run_case python_tells_it python_tells_it
run_case the_changelog_tells_it changelog_tells_it
end_cases
