/* secured_client.c: see secured_client.h. */
#define OPENSSL_SUPPRESS_DEPRECATED /* random bytes by functions of ours */
#include "support/secured_client.h"

#include "server/tls/tls_library.h"
#include "support/require.h"
#include "support/test_random.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

/* ------------------------------------------------------------------ chance ----------------- */

static test_random chance;

static int random_bytes(unsigned char *bytes, int length) {
	for (int i = 0; i < length; i++) bytes[i] = (unsigned char)test_random_next(&chance);
	return 1;
}

static int random_is_there(void) {
	return 1;
}

static const RAND_METHOD random_method = {
	.bytes = random_bytes, .pseudorand = random_bytes, .status = random_is_there};

/* ------------------------------------------------------------------ the server's ----------- */

static EVP_PKEY *make_key(void) {
	EVP_PKEY *key = EVP_EC_gen("P-256");
	REQUIRE(key != NULL, "no key");
	return key;
}

static X509 *make_certificate(EVP_PKEY *key) {
	X509 *certificate = X509_new();
	REQUIRE(certificate != NULL, "no memory");
	X509_NAME *name = X509_get_subject_name(certificate);
	bool is_made = X509_set_version(certificate, X509_VERSION_3) == 1 &&
				   ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) == 1 &&
				   ASN1_TIME_set_string(X509_getm_notBefore(certificate), "20200101000000Z") == 1 &&
				   ASN1_TIME_set_string(X509_getm_notAfter(certificate), "29990101000000Z") == 1 &&
				   X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
											  (const unsigned char *)"server", -1, -1, 0) == 1 &&
				   X509_set_issuer_name(certificate, name) == 1 &&
				   X509_set_pubkey(certificate, key) == 1 &&
				   X509_sign(certificate, key, EVP_sha256()) > 0;
	REQUIRE(is_made, "no certificate");
	return certificate;
}

/* Key and certificate in one file, as --ssl-chain-cert takes them. */
static void write_certificate(int fd) {
	EVP_PKEY *key = make_key();
	X509 *certificate = make_certificate(key);
	FILE *file = fdopen(fd, "w");
	REQUIRE(file != NULL && PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1 &&
				PEM_write_X509(file, certificate) == 1 && fclose(file) == 0,
			"a certificate cannot be written");
	X509_free(certificate);
	EVP_PKEY_free(key);
}

/* What a handshake leaves in OpenSSL for good is left by this one, so that who counts memory finds nothing of it later. */
static void shake_hands(SSL_CTX *server_context, SSL_CTX *client_context, int version) {
	SSL *server = SSL_new(server_context), *client = SSL_new(client_context);
	BIO *to_server = BIO_new(BIO_s_mem()), *to_client = BIO_new(BIO_s_mem());
	REQUIRE(server != NULL && client != NULL && to_server != NULL && to_client != NULL &&
				BIO_up_ref(to_server) == 1 && BIO_up_ref(to_client) == 1,
			"no memory");
	SSL_set_bio(server, to_server, to_client);
	SSL_set_bio(client, to_client, to_server);
	SSL_set_max_proto_version(client, version);
	SSL_set_accept_state(server);
	SSL_set_connect_state(client);
	for (int turns = 0; turns < 4; turns++) {
		(void)SSL_do_handshake(client);
		(void)SSL_do_handshake(server);
	}
	REQUIRE(SSL_is_init_finished(client) && SSL_is_init_finished(server), "no handshake");
	SSL_free(server);
	SSL_free(client);
	ERR_clear_error();
}

static void warm_up(const char *path) {
	SSL_CTX *server = SSL_CTX_new(TLS_server_method()), *client = SSL_CTX_new(TLS_client_method());
	REQUIRE(server != NULL && client != NULL &&
				SSL_CTX_use_certificate_chain_file(server, path) == 1 &&
				SSL_CTX_use_PrivateKey_file(server, path, SSL_FILETYPE_PEM) == 1,
			"the certificate cannot be read");
	REQUIRE(BIO_get_new_index() > 0, "no memory");
	shake_hands(server, client, TLS1_3_VERSION);
	shake_hands(server, client, TLS1_2_VERSION);
	SSL_CTX_free(server);
	SSL_CTX_free(client);
}

/* No file that a process which is killed would leave, and one name in each process: a server tells it, and two runs of a seed of the simulation say the
 * same. */
#define CERTIFICATE_FD_LEAST 200

const char *secured_certificate(void) {
	static char path[32];
	if (path[0] != '\0') return path;
	int made = memfd_create("snug-certificate", MFD_CLOEXEC);
	int fd = fcntl(made, F_DUPFD_CLOEXEC, CERTIFICATE_FD_LEAST);
	/* before OpenSSL's first request for memory */
	REQUIRE(fd >= 0 && tls_library_load() != NULL, "OpenSSL cannot be loaded");
	REQUIRE(RAND_set_rand_method(&random_method) == 1, "chance cannot be set");
	write_certificate(made);
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	warm_up(path);
	return path;
}

void secured_seed(uint64_t seed) {
	chance = (test_random){seed};
}

struct tls *secured_server(const struct settings *settings) {
	static struct tls *tls;
	struct settings with = *settings;
	struct text why = {0};
	const snug_log silent = {0};
	secured_seed(1);
	if (tls != NULL) return tls;
	(void)snprintf(with.ssl_chain_cert, sizeof with.ssl_chain_cert, "%s", secured_certificate());
	bool is_read = tls_create(&with, &silent, &tls, &why);
	REQUIRE(is_read, "%.*s", (int)why.length, why.bytes);
	return tls;
}

/* ------------------------------------------------------------------ a client --------------- */

struct secured_client {
	SSL *ssl;
	bool has_ended;          /* or failed: OpenSSL is not asked any more */
	struct byte_queue plain; /* to be said */
	struct byte_queue heard;
	struct byte_queue records; /* to the server */
};

struct secured_client *secured_client_create(bool is_old) {
	static SSL_CTX *context;
	struct secured_client *client = calloc(1, sizeof *client);
	REQUIRE(client != NULL, "no memory");
	if (context == NULL) context = SSL_CTX_new(TLS_client_method());
	client->ssl = context == NULL ? NULL : SSL_new(context);
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	REQUIRE(client->ssl != NULL && in != NULL && out != NULL, "no memory");
	if (is_old) SSL_set_max_proto_version(client->ssl, TLS1_2_VERSION);
	SSL_set_bio(client->ssl, in, out);
	SSL_set_connect_state(client->ssl);
	return client;
}

void secured_client_destroy(struct secured_client *client) {
	if (client == NULL) return;
	SSL_free(client->ssl);
	byte_queue_deinit(&client->plain);
	byte_queue_deinit(&client->heard);
	byte_queue_deinit(&client->records);
	free(client);
}

bool secured_client_is_open(const struct secured_client *client) {
	return SSL_is_init_finished(client->ssl) == 1;
}

struct byte_queue *secured_client_records(struct secured_client *client) {
	return &client->records;
}

struct byte_queue *secured_client_heard(struct secured_client *client) {
	return &client->heard;
}

size_t secured_client_unsaid(const struct secured_client *client) {
	return byte_queue_left(&client->plain);
}

void secured_client_say(struct secured_client *client, const char *bytes, size_t length) {
	byte_queue_append(&client->plain, bytes, length);
}

void secured_client_hear(struct secured_client *client, const char *bytes, size_t length) {
	(void)BIO_write(SSL_get_rbio(client->ssl), bytes, (int)length);
}

/* OpenSSL takes what its queue of errors holds for its own. */
static void note(struct secured_client *client, int result) {
	int error = SSL_get_error(client->ssl, result);
	client->has_ended |= error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE;
	ERR_clear_error();
}

static void take_heard(struct secured_client *client) {
	char bytes[16384];
	int result = 1;
	while (!client->has_ended && result > 0) {
		result = SSL_read(client->ssl, bytes, sizeof bytes);
		if (result > 0)
			byte_queue_append(&client->heard, bytes, (size_t)result);
		else
			note(client, result);
	}
}

/* The memory of the BIO takes all of it. */
static void say(struct secured_client *client) {
	struct byte_queue *plain = &client->plain;
	size_t length = byte_queue_left(plain);
	if (length == 0 || client->has_ended || !secured_client_is_open(client)) return;
	int result = SSL_write(client->ssl, plain->bytes + plain->begin, (int)length);
	if (result > 0)
		plain->begin += (size_t)result;
	else
		note(client, result);
}

static void take_records(struct secured_client *client) {
	char bytes[16384];
	int length;
	while ((length = BIO_read(SSL_get_wbio(client->ssl), bytes, sizeof bytes)) > 0)
		byte_queue_append(&client->records, bytes, (size_t)length);
}

void secured_client_pump(struct secured_client *client) {
	if (!client->has_ended && !secured_client_is_open(client)) {
		int result = SSL_do_handshake(client->ssl);
		if (result != 1) note(client, result);
	}
	take_heard(client);
	say(client);
	take_records(client);
}

bool secured_client_say_end(struct secured_client *client) {
	secured_client_pump(client);
	if (!secured_client_is_open(client)) return false;
	(void)SSL_shutdown(client->ssl);
	ERR_clear_error();
	take_records(client);
	return true;
}
