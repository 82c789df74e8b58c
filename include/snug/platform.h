/* snug/platform.h: what snug needs of the machine. Every public header includes it before anything
 * else.
 *
 * Addresses of 64 bits: a heap reserves its whole range at once, and references, handles and the
 * index hold more than 32 bits can name. */
#ifndef SNUG_PLATFORM_H
#define SNUG_PLATFORM_H

#if defined __SIZEOF_POINTER__ && __SIZEOF_POINTER__ < 8
#error "snug needs a machine of 64 bits: x86-64 or arm64, and no -m32"
#endif

#endif
