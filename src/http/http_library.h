/* http/http_library.h: libmicrohttpd, loaded when HTTP is asked for and not before. With what it
 * brings along (GnuTLS, which --http-ssl alone uses) it has two MiB of resident memory, which a server that
 * serves no HTTP shall not pay. Its header is what it was built with; its functions are called
 * through this table. */
#ifndef SNUG_HTTP_HTTP_LIBRARY_H
#define SNUG_HTTP_HTTP_LIBRARY_H

#include <microhttpd.h>
#include <stdbool.h>

/* X(name, of the function without MHD_) */
#define HTTP_LIBRARY_FUNCTIONS(X)                         \
	X(is_feature_supported)                               \
	X(start_daemon)                                       \
	X(quiesce_daemon)                                     \
	X(stop_daemon)                                        \
	X(get_connection_info)                                \
	X(set_connection_option)                              \
	X(lookup_connection_value)                            \
	X(create_response_from_buffer)                        \
	X(create_response_from_buffer_with_free_callback_cls) \
	X(add_response_header) X(queue_response) X(destroy_response)

struct http_library {
#define HTTP_LIBRARY_FIELD(name) __typeof__(MHD_##name) *name;
	HTTP_LIBRARY_FUNCTIONS(HTTP_LIBRARY_FIELD)
#undef HTTP_LIBRARY_FIELD
};

/* It stays until the process ends. False: it is not installed. */
bool http_library_load(struct http_library *out);

#endif
