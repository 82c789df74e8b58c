/* server/tls/tls.c: certificates and rules. See server/tls/tls.h.
 *
 *     files --read--> SSL_CTX (certificate, key, who signs clients' certificates, rules)
 *                       |  the one that is current: under a mutex
 *                       '--> each new session holds the one that it began with
 *
 * Reading them again makes a new SSL_CTX beside the old one, which goes with its last session. With it
 * go the keys of its tickets: nobody resumes a session by a certificate that was replaced.
 *
 * Who asks from a worker's thread must not wait for files: a thread reads them, one request after the
 * other.
 *
 * RULES   TLS 1.2 and 1.3. No renegotiation, no compression. Without --ssl-session-cache no tickets,
 *         and with it tickets alone: a session that may be resumed is kept by the client, encrypted,
 *         and costs no memory here. */
#include "base/assert.h"
#include "base/log_line.h"
#include "os/threads.h"
#include "server/tls/tls_certificates.h"
#include "server/tls/tls_kernel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECONDS_A_DAY 86400
#define WARN_S ((int64_t)14 * SECONDS_A_DAY) /* of a certificate's last days */
#define CHAIN_BYTES_MAX 32768                /* of a client's certificates */
#define CIPHER_BYTES_MAX 512u
#define TOLD_NS UINT64_C(10000000000) /* between two lines about failures */

struct tls {
	const struct tls_library *library; /* constant after create, as are the next three */
	BIO_METHOD *method;
	struct settings settings;
	snug_log log;
	struct os_thread thread;
	pthread_mutex_t reading_mutex; /* guards the next two; a reading holds it to its end */
	tls_follower *follow;
	void *follower;
	pthread_mutex_t mutex; /* guards the next ones */
	SSL_CTX *current;
	uint64_t read_ns;
	int64_t valid_s;             /* from then on */
	uint64_t failures;           /* that the log was not told of */
	uint64_t told_ns;            /* when it was last told; 0: never */
	pthread_mutex_t queue_mutex; /* guards the rest */
	pthread_cond_t is_asked;
	struct tls_refresh *asked;
	bool is_ending;
};

const struct tls_library *tls_library_of(const struct tls *tls) {
	return tls->library;
}

BIO_METHOD *tls_bio_method(const struct tls *tls) {
	return tls->method;
}

const struct settings *tls_settings(const struct tls *tls) {
	return &tls->settings;
}

/* ------------------------------------------------------------------ rules ------------------ */

/* A key that needs a passphrase is not read: nobody is there who could be asked. */
static int no_passphrase(char *buffer, int room, int writes, void *context) {
	(void)buffer;
	(void)room;
	(void)writes;
	(void)context;
	return 0;
}

/* Names of TLS 1.3's begin so, and OpenSSL wants them apart. */
static bool set_ciphers(const struct tls *tls, SSL_CTX *context) {
	const struct tls_library *library = tls->library;
	char lists[2][CIPHER_BYTES_MAX] = {"", ""};
	_Static_assert(sizeof tls->settings.ssl_ciphers < CIPHER_BYTES_MAX, "all of them fit");
	for (const char *at = tls->settings.ssl_ciphers; *at != '\0';) {
		size_t length = strcspn(at, ":");
		char *list = lists[strncmp(at, "TLS_", 4) == 0];
		if (list[0] != '\0') strcat(list, ":");
		strncat(list, at, length);
		at += length + (at[length] == ':');
	}
	return (lists[0][0] == '\0' || library->SSL_CTX_set_cipher_list(context, lists[0]) == 1) &&
		   (lists[1][0] == '\0' || library->SSL_CTX_set_ciphersuites(context, lists[1]) == 1);
}

static int verify_mode(uint32_t mode) {
	static const int modes[] = {SSL_VERIFY_NONE, SSL_VERIFY_PEER,
								SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
								SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE};
	return modes[mode];
}

static void set_rules(const struct tls *tls, SSL_CTX *context) {
	const struct tls_library *library = tls->library;
	const struct settings *settings = &tls->settings;
	static const long versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	library->SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION,
						  versions[settings->ssl_min_version], NULL);
	library->SSL_CTX_ctrl(context, SSL_CTRL_MODE,
						  SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER, NULL);
	library->SSL_CTX_ctrl(context, SSL_CTRL_SET_MAX_CERT_LIST, CHAIN_BYTES_MAX, NULL);
	library->SSL_CTX_ctrl(context, SSL_CTRL_SET_SESS_CACHE_MODE,
						  settings->ssl_session_cache
							  ? SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL
							  : SSL_SESS_CACHE_OFF,
						  NULL);
	uint64_t options =
		SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE;
	if (!settings->ssl_session_cache) options |= SSL_OP_NO_TICKET;
	(void)library->SSL_CTX_set_options(context, options);
	(void)library->SSL_CTX_set_num_tickets(context, settings->ssl_session_cache ? 1 : 0);
	library->SSL_CTX_set_verify(context, verify_mode(settings->ssl_verify_mode), NULL);
	library->SSL_CTX_set_default_passwd_cb(context, no_passphrase);
	if (settings->ssl_kernel_tls) tls_kernel_follow(library, context);
}

/* ------------------------------------------------------------------ files ------------------ */

static bool failed(const struct tls *tls, const char *what, const char *path, struct text *why) {
	const struct tls_library *library = tls->library;
	unsigned long error = library->ERR_peek_error(); /* the first: the others follow from it */
	const char *reason = ERR_SYSTEM_ERROR(error) ? strerror(ERR_GET_REASON(error))
												 : library->ERR_reason_error_string(error);
	text_print(why, "%s%s%s: %s", what, path[0] != '\0' ? ": " : "", path,
			   reason != NULL ? reason : "cannot be read");
	library->ERR_clear_error();
	return false;
}

static bool read_files(const struct tls *tls, SSL_CTX *context, struct text *why) {
	const struct tls_library *library = tls->library;
	const struct settings *settings = &tls->settings;
	const char *chain = settings->ssl_chain_cert, *key = settings->ssl_key,
			   *clients = settings->ssl_ca_cert;
	bool is_der = settings->ssl_keyformat == SSL_FILETYPE_ASN1;
	if (library->SSL_CTX_use_certificate_chain_file(context, chain) != 1)
		return failed(tls, "--ssl-chain-cert", chain, why);
	if (key[0] == '\0') key = chain;
	if (library->SSL_CTX_use_PrivateKey_file(context, key,
											 is_der ? SSL_FILETYPE_ASN1 : SSL_FILETYPE_PEM) != 1)
		return failed(tls, "--ssl-key", key, why);
	if (library->SSL_CTX_check_private_key(context) != 1)
		return failed(tls, "--ssl-key: is not that of the certificate", key, why);
	if (clients[0] == '\0') return true;
	if (library->SSL_CTX_load_verify_locations(context, clients, NULL) != 1)
		return failed(tls, "--ssl-ca-cert", clients, why);
	STACK_OF(X509_NAME) *names = library->SSL_load_client_CA_file(clients);
	if (names == NULL) return failed(tls, "--ssl-ca-cert", clients, why);
	library->SSL_CTX_set_client_CA_list(context, names); /* takes it */
	return true;
}

static int64_t seconds_left(const struct tls *tls, SSL_CTX *context) {
	const X509 *certificate = tls->library->SSL_CTX_get0_certificate(context);
	int days = 0, seconds = 0;
	if (certificate == NULL ||
		tls->library->ASN1_TIME_diff(&days, &seconds, NULL,
									 tls->library->X509_get0_notAfter(certificate)) != 1)
		return 0;
	return (int64_t)days * SECONDS_A_DAY + seconds;
}

/* Of a chain that is read, which serves all the same. */
static void warn_of_end(const struct tls *tls, int64_t valid_s) {
	if (valid_s < 0)
		snug_log_line(&tls->log, SNUG_LOG_WARNING, "%s: the certificate has expired",
					  tls->settings.ssl_chain_cert);
	else if (valid_s < WARN_S)
		snug_log_line(&tls->log, SNUG_LOG_WARNING, "%s: the certificate expires in %lld days",
					  tls->settings.ssl_chain_cert, (long long)(valid_s / SECONDS_A_DAY));
}

static SSL_CTX *read_context(const struct tls *tls, struct text *why) {
	const struct tls_library *library = tls->library;
	SSL_CTX *context = library->SSL_CTX_new(library->TLS_server_method());
	if (context == NULL) {
		(void)failed(tls, "no memory for certificates", "", why);
		return NULL;
	}
	set_rules(tls, context);
	bool is_read = set_ciphers(tls, context);
	if (!is_read) (void)failed(tls, "--ssl-ciphers", tls->settings.ssl_ciphers, why);
	if (is_read && read_files(tls, context, why)) return context;
	library->SSL_CTX_free(context);
	return NULL;
}

static void take(struct tls *tls, SSL_CTX *read) {
	int64_t valid_s = seconds_left(tls, read);
	warn_of_end(tls, valid_s);
	pthread_mutex_lock(&tls->mutex);
	SSL_CTX *before = tls->current;
	tls->current = read;
	tls->read_ns = os_now_ns();
	tls->valid_s = valid_s;
	pthread_mutex_unlock(&tls->mutex);
	if (before != NULL) tls->library->SSL_CTX_free(before); /* goes with its last session */
}

/* One at a time: of two at once each could be the last to one of the libraries. */
bool tls_reload(struct tls *tls, struct text *why) {
	pthread_mutex_lock(&tls->reading_mutex);
	SSL_CTX *read = read_context(tls, why);
	bool is_taken = read != NULL && (tls->follow == NULL || tls->follow(tls->follower, why));
	if (is_taken)
		take(tls, read);
	else if (read != NULL)
		tls->library->SSL_CTX_free(read);
	pthread_mutex_unlock(&tls->reading_mutex);
	return is_taken;
}

void tls_set_follower(struct tls *tls, tls_follower *follow, void *context) {
	pthread_mutex_lock(&tls->reading_mutex);
	tls->follow = follow;
	tls->follower = context;
	pthread_mutex_unlock(&tls->reading_mutex);
}

SSL *tls_new_ssl(struct tls *tls) {
	pthread_mutex_lock(&tls->mutex);
	SSL *ssl = tls->library->SSL_new(tls->current);
	pthread_mutex_unlock(&tls->mutex);
	return ssl;
}

uint64_t tls_read_ns(struct tls *tls) {
	pthread_mutex_lock(&tls->mutex);
	uint64_t read_ns = tls->read_ns;
	pthread_mutex_unlock(&tls->mutex);
	return read_ns;
}

int64_t tls_valid_s(struct tls *tls) {
	pthread_mutex_lock(&tls->mutex);
	int64_t valid_s = tls->valid_s;
	pthread_mutex_unlock(&tls->mutex);
	return valid_s;
}

void tls_tell_failure(struct tls *tls, const char *why) {
	uint64_t now_ns = os_now_ns();
	pthread_mutex_lock(&tls->mutex);
	uint64_t failures = ++tls->failures;
	bool is_told = tls->told_ns == 0 || now_ns - tls->told_ns >= TOLD_NS;
	if (is_told) {
		tls->told_ns = now_ns;
		tls->failures = 0;
	}
	pthread_mutex_unlock(&tls->mutex);
	if (is_told)
		snug_log_line(&tls->log, SNUG_LOG_WARNING,
					  "TLS: %llu connection%s failed, the last one: %s",
					  (unsigned long long)failures, failures == 1 ? "" : "s", why);
}

/* ------------------------------------------------------------------ asked ------------------ */

/* Waits. NULL: it is over. */
static struct tls_refresh *take_asked(struct tls *tls) {
	pthread_mutex_lock(&tls->queue_mutex);
	while (tls->asked == NULL && !tls->is_ending)
		pthread_cond_wait(&tls->is_asked, &tls->queue_mutex);
	struct tls_refresh *refresh = tls->asked;
	if (refresh != NULL) tls->asked = refresh->next;
	pthread_mutex_unlock(&tls->queue_mutex);
	return refresh;
}

static void run(void *context) {
	struct tls *tls = context;
	struct tls_refresh *refresh;
	os_thread_set_name("snugd-tls");
	while ((refresh = take_asked(tls)) != NULL) {
		struct text why = {0};
		refresh->why[0] = '\0';
		if (!tls_reload(tls, &why)) {
			text_append(&why, "", 1);
			(void)snprintf(refresh->why, sizeof refresh->why, "%s",
						   why.failed ? "no memory" : why.bytes);
		}
		text_deinit(&why);
		atomic_store_explicit(&refresh->is_done, true, memory_order_release);
	}
}

void tls_refresh_ask(struct tls *tls, struct tls_refresh *refresh) {
	atomic_store_explicit(&refresh->is_done, false, memory_order_relaxed);
	pthread_mutex_lock(&tls->queue_mutex);
	bool is_ending = tls->is_ending;
	refresh->next = tls->asked;
	if (!is_ending) tls->asked = refresh;
	pthread_cond_signal(&tls->is_asked);
	pthread_mutex_unlock(&tls->queue_mutex);
	if (!is_ending) return;
	(void)snprintf(refresh->why, sizeof refresh->why, "the server ends");
	atomic_store_explicit(&refresh->is_done, true, memory_order_release);
}

/* ------------------------------------------------------------------ create, destroy -------- */

/* By the user that snugd has become: its module is loaded by then, or by root alone. */
static void look_for_kernel(struct tls *tls) {
	if (!tls->settings.ssl_kernel_tls || tls_kernel_is_there()) return;
	tls->settings.ssl_kernel_tls = false;
	snug_log_line(&tls->log, SNUG_LOG_WARNING,
				  "--ssl-kernel-tls: this kernel has no TLS (its module is named tls): OpenSSL "
				  "encrypts all records");
}

bool tls_create(const struct settings *settings, const snug_log *log, struct tls **out,
				struct text *why) {
	struct tls *tls = calloc(1, sizeof *tls);
	const struct tls_library *library = tls == NULL ? NULL : tls_library_load();
	if (library == NULL) {
		text_print(why, "--enable-ssl: %s",
				   tls == NULL ? "no memory" : "OpenSSL 3 (libssl.so.3) cannot be loaded");
		free(tls);
		return false;
	}
	tls->library = library;
	tls->settings = *settings;
	tls->log = *log;
	look_for_kernel(tls);
	pthread_mutex_init(&tls->reading_mutex, NULL);
	pthread_mutex_init(&tls->mutex, NULL);
	pthread_mutex_init(&tls->queue_mutex, NULL);
	pthread_cond_init(&tls->is_asked, NULL);
	tls->method = tls_bio_make(library);
	if (tls->method == NULL) text_print(why, "--enable-ssl: no memory");
	bool has_begun = tls->method != NULL && tls_reload(tls, why);
	if (has_begun && !os_thread_start(&tls->thread, run, tls)) {
		text_print(why, "no thread that reads certificates again");
		library->SSL_CTX_free(tls->current);
		has_begun = false;
	}
	if (has_begun) {
		*out = tls;
		return true;
	}
	library->BIO_meth_free(tls->method);
	free(tls);
	return false;
}

/* What was asked before is answered first. */
void tls_stop(struct tls *tls) {
	if (tls == NULL) return;
	pthread_mutex_lock(&tls->queue_mutex);
	bool was_ending = tls->is_ending;
	tls->is_ending = true;
	pthread_cond_signal(&tls->is_asked);
	pthread_mutex_unlock(&tls->queue_mutex);
	if (!was_ending) os_thread_join(&tls->thread);
}

void tls_destroy(struct tls *tls) {
	if (tls == NULL) return;
	tls_stop(tls);
	tls->library->SSL_CTX_free(tls->current);
	tls->library->BIO_meth_free(tls->method);
	pthread_mutex_destroy(&tls->reading_mutex);
	pthread_mutex_destroy(&tls->mutex);
	pthread_mutex_destroy(&tls->queue_mutex);
	pthread_cond_destroy(&tls->is_asked);
	free(tls);
}
