/* http/http_access.c: see http/http_access.h.
 *
 * HOST IS OURS if it is an address, "localhost", or a name that --http or --http-host gives. An
 * address cannot be made to point at us by somebody else, a name can (DNS rebinding): the browser
 * would take the foreign page and us for one site.
 *
 * Whoever sends none of Host, Origin and Sec-Fetch-Site is no browser. No page made it ask, so
 * these rules have nothing to say to it. A token is compared in a time that does not depend on
 * where it differs.
 *
 * Where clients are asked who they are (--auth-file), actions need a user who may operate, or the
 * token of --http-token-file, from loopback as from elsewhere. */
#include "http/http_access.h"

#include "base/address_text.h"
#include "server/protocol/base64.h"
#include "server/protocol/protocol.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

/* Names can be made to point anywhere; addresses cannot. The last label of a name is never a
 * number, and only addresses have brackets. */
static bool is_address(const struct address_text *host) {
	if (host->has_brackets) return true;
	for (size_t i = 0; i < host->host_length; i++)
		if (!isdigit((unsigned char)host->host[i]) && host->host[i] != '.') return false;
	return host->host_length > 0;
}

static bool is_name(const struct address_text *host, const char *name) {
	struct address_text known;
	return address_read(name, &known) && host->host_length == known.host_length &&
		   strncasecmp(host->host, known.host, known.host_length) == 0;
}

static bool is_ours(const struct http_rules *rules, const char *text) {
	struct address_text host;
	if (!address_read(text, &host)) return false;
	if (is_address(&host) || is_name(&host, "localhost") || is_name(&host, rules->name))
		return true;
	for (uint32_t i = 0; i < rules->hosts->count; i++)
		if (is_name(&host, rules->hosts->entry[i])) return true;
	return false;
}

const char *http_access_read(const struct http_rules *rules, const struct http_request *request) {
	if (request->host != NULL && !is_ours(rules, request->host))
		return "this server is not known by that name: use its address, or a name that --http or "
			   "--http-host gives";
	return NULL;
}

/* In a time that does not depend on where they differ. */
static bool is_equal(const char *given, const char *token) {
	size_t given_length = strlen(given), length = strlen(token);
	unsigned char differences = given_length != length;
	for (size_t i = 0; i < length; i++)
		differences |= (unsigned char)(given[given_length == 0 ? 0 : i % given_length] ^ token[i]);
	return differences == 0;
}

static bool has_token(const struct http_rules *rules, const struct http_request *request) {
	static const char scheme[] = "Bearer ";
	size_t length = sizeof scheme - 1;
	return request->authorization != NULL &&
		   strncasecmp(request->authorization, scheme, length) == 0 &&
		   is_equal(request->authorization + length, rules->token);
}

#define SAID_BYTES_MAX ((size_t)AUTH_BYTES_MAX)

static bool begins_with(const char *text, const char *scheme) {
	return strncasecmp(text, scheme, strlen(scheme)) == 0;
}

/* Name and password (Basic, RFC 7617); or a token, which is the password of the user "http". `said` is
 * SAID_BYTES_MAX of room. False: neither. */
static bool read_login(const char *authorization, char *said, struct login *login) {
	static const char bearer[] = "Bearer ", basic[] = "Basic ";
	const char *rest;
	size_t said_bytes = 0;
	if (begins_with(authorization, bearer)) {
		rest = authorization + strlen(bearer);
		*login = (struct login){"http", strlen("http"), rest, strlen(rest)};
		return login->password_bytes > 0;
	}
	if (!begins_with(authorization, basic)) return false;
	rest = authorization + strlen(basic);
	if (strlen(rest) > SAID_BYTES_MAX || !base64_decode(rest, strlen(rest), said, &said_bytes))
		return false;
	const char *colon = memchr(said, ':', said_bytes);
	if (colon == NULL) return false;
	size_t name_bytes = (size_t)(colon - said);
	*login = (struct login){said, name_bytes, colon + 1, said_bytes - name_bytes - 1};
	return true;
}

/* A user who may operate, or the token. */
static bool is_operator(const struct http_rules *rules, const struct http_request *request,
						enum http_try *tried) {
	char said[SAID_BYTES_MAX];
	struct login login;
	uint8_t rights = 0;
	if (request->authorization == NULL) return false;
	bool is_holder = rules->token != NULL && has_token(rules, request);
	if (!is_holder && rules->auth != NULL && read_login(request->authorization, said, &login))
		rights = auth_check(rules->auth, &login, request->source, rules->is_stopping);
	explicit_bzero(said, sizeof said);
	*tried = is_holder || rights != 0 ? HTTP_TRIED_RIGHT : HTTP_TRIED_WRONG;
	return is_holder || (rights & AUTH_OPERATE) != 0;
}

static bool is_same_site(const struct http_rules *rules, const struct http_request *request) {
	if (request->site != NULL && strcmp(request->site, "same-origin") != 0 &&
		strcmp(request->site, "none") != 0)
		return false;
	if (request->origin == NULL) return true;
	const char *scheme = rules->is_secured ? "https://" : "http://";
	size_t length = strlen(scheme);
	return request->host != NULL && strncmp(request->origin, scheme, length) == 0 &&
		   strcasecmp(request->origin + length, request->host) == 0;
}

const char *http_access_act(const struct http_rules *rules, const struct http_request *request,
							enum http_try *tried) {
	*tried = HTTP_TRIED_NONE;
	const char *refusal = http_access_read(rules, request);
	if (refusal != NULL) return refusal;
	if (!is_same_site(rules, request)) return "a request from another site";
	if (request->mark == NULL || strcmp(request->mark, "1") != 0)
		return "actions need the header X-Snug-Request: 1";
	if (rules->auth == NULL && rules->token == NULL)
		return rules->is_loopback
				   ? NULL
				   : "actions from elsewhere need a token: start snugd with --http-token-file";
	if (is_operator(rules, request, tried)) return NULL;
	return rules->auth != NULL ? "actions need a user who may operate: Authorization: Basic, or "
								 "Bearer with the password of the user http"
							   : "actions need the token: Authorization: Bearer TOKEN";
}
