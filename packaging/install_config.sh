#!/bin/sh
# The config, where there is none: one that is there is the operator's. What was made is noted for uninstall.sh.
#
#     install_config.sh CONFIG SAMPLE        DESTDIR before both
set -e
[ ! -e "${DESTDIR:-}$1" ] || exit 0
mkdir -p "$(dirname "${DESTDIR:-}$1")"
install -m 644 "${DESTDIR:-}$2" "${DESTDIR:-}$1"
echo "${DESTDIR:-}$1" >"$MESON_BUILD_ROOT/packaging/installed-config"
