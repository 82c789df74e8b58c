/* server/io/io_uring_absent.c: in place of io_uring.c where liburing was not there at the build:
 * AUTO falls back to epoll as it does where the kernel refuses. The sockets of tests stand beside
 * it, too. */
#include "server/io/io_backend.h"

snug_error io_uring_create(uint64_t memory_bytes, struct io **out) {
	(void)memory_bytes;
	(void)out;
	return SNUG_ERROR_OS_THREAD;
}
