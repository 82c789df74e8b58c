/* http/http_routes.h: what there is to ask for, and its answers. */
#ifndef SNUG_HTTP_HTTP_ROUTES_H
#define SNUG_HTTP_HTTP_ROUTES_H

#include "http/http_history.h"
#include "server/errand/errand_ask.h"

struct http_answer {
	unsigned status;
	const char *content_type;
	const char *allow; /* of status 405: the method that it has */
	struct text text;  /* the body, or: */
	const char *page;  /* constant; NULL: the text */
	size_t page_length;
};

/* A parameter of the request's query; NULL: it was not given. */
typedef const char *http_parameter(void *context, const char *name);

struct route;

/* NULL: there is no such path. */
const struct route *route_find(const char *method, const char *path, bool *is_other_method,
							   const char **allow);
/* It does something, and may be asked for by those alone who may act. */
bool route_acts(const struct route *route);
/* It tells whether all is well, and has memory and a place of its own. */
bool route_is_urgent(const struct route *route);
bool route_is_metrics(const struct route *route);
/* Its answer depends on nothing that the request says, so that one may be for many. */
bool route_is_shared(const struct route *route);
/* What is needed at most while it is made. */
size_t route_need_bytes(const struct route *route);
#define ROUTES_MAX 32u
/* Below ROUTES_MAX. */
size_t route_index(const struct route *route);
void route_answer(const struct route *route, struct asks *asks, struct history *history,
				  http_parameter *parameter, void *context, struct http_answer *out);

#endif
