/* base/exports.h: what the shared library exports, decided by the public headers themselves.
 *
 * The library is compiled with -fvisibility=hidden and this file is included before each of its
 * sources (see src/meson.build). A function keeps the visibility of its first declaration, so
 * everything that a public header declares is exported and nothing else is.
 * tests/tree/check_exports.sh compares the two lists.
 *
 * A macro before each declaration, or a list of names for the linker, would say the same a second
 * time. */
#ifndef SNUG_BASE_EXPORTS_H
#define SNUG_BASE_EXPORTS_H

/* The library's own calls are calls: who defines a function has it once. */
#define SNUG_NO_INLINE 1

#pragma GCC visibility push(default)
#include <snug/snug.h>
#pragma GCC visibility pop

#endif
