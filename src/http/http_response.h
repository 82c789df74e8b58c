/* http/http_response.h: what libmicrohttpd sends, made of an answer. */
#ifndef SNUG_HTTP_HTTP_RESPONSE_H
#define SNUG_HTTP_HTTP_RESPONSE_H

#include "http/http_library.h"
#include "http/http_routes.h"
#include "http/http_shared.h"

/* Takes the answer's text, whatever comes of it. Without memory the status is 503; out->response is NULL
 * where libmicrohttpd has none. Any thread. */
void http_response_make(const struct http_library *library, struct http_answer *answer,
						struct made *out);

#endif
