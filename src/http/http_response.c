/* http/http_response.c: see http/http_response.h.
 *
 * MEMORY. An answer's text becomes the response's buffer without a copy, and counts until the last
 * byte has gone. An answer for which there was no memory says so in a text that needs none. So a
 * client is told something as long as libmicrohttpd itself has memory.
 *
 * Each answer forbids the browser to load anything from elsewhere, to be framed, and to keep the
 * answer: the page is one file that asks for nothing (embed.py sees to that). */
#include "http/http_response.h"

#include <stdlib.h>

/* Nothing else is loaded by the page, framed around it, or told to other sites. */
static bool add_headers(const struct http_library *library, struct MHD_Response *response,
						const struct http_answer *answer) {
	static const char policy[] = "default-src 'none'; script-src 'unsafe-inline'; style-src "
								 "'unsafe-inline'; connect-src 'self'; img-src data:; "
								 "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
	const char *const fields[][2] = {
		{"Content-Type", answer->content_type}, {"Cache-Control", "no-store"},
		{"X-Content-Type-Options", "nosniff"},  {"Referrer-Policy", "no-referrer"},
		{"Content-Security-Policy", policy},    {"Allow", answer->allow},
	};
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		if (fields[i][1] != NULL &&
			library->add_response_header(response, fields[i][0], fields[i][1]) != MHD_YES)
			return false;
	return true;
}

static void free_text(void *context) {
	struct text *text = context;
	text_deinit(text);
	free(text);
}

/* The text is the response's from then on, and goes back when the last connection has sent it.
 * NULL: no memory, and nothing has changed. */
static struct MHD_Response *wrap_text(const struct http_library *library, struct text *text) {
	struct text *kept = text->failed ? NULL : malloc(sizeof *kept);
	if (kept == NULL) return NULL;
	*kept = *text;
	struct MHD_Response *response = library->create_response_from_buffer_with_free_callback_cls(
		kept->length, kept->bytes, free_text, kept);
	if (response == NULL)
		free(kept);
	else
		*text = (struct text){.account = kept->account};
	return response;
}

static struct MHD_Response *wrap_page(const struct http_library *library, const char *page,
									  size_t length) {
	return library->create_response_from_buffer(length, (void *)(uintptr_t)page,
												MHD_RESPMEM_PERSISTENT);
}

/* An answer for which there was no memory says so in a text that needs none. */
void http_response_make(const struct http_library *library, struct http_answer *answer,
						struct made *out) {
	static const char no_memory[] = "{\"error\":\"no memory for the answer: try again\"}\n";
	*out = (struct made){.status = answer->status, .account = answer->text.account};
	if (answer->page != NULL) {
		out->response = wrap_page(library, answer->page, answer->page_length);
	} else {
		out->bytes = answer->text.room;
		out->response = wrap_text(library, &answer->text);
	}
	if (out->response == NULL) {
		out->status = 503;
		out->bytes = 0;
		answer->content_type = "application/json";
		out->response = wrap_page(library, no_memory, sizeof no_memory - 1);
	}
	text_deinit(&answer->text);
	if (out->response != NULL && !add_headers(library, out->response, answer)) {
		library->destroy_response(out->response);
		out->response = NULL;
	}
}
