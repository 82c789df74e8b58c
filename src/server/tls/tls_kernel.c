/* server/tls/tls_kernel.c: see server/tls/tls_kernel.h.
 *
 *     SERVER_TRAFFIC_SECRET_0 --HKDF-Expand-Label--> "key", "iv"   RFC 8446, 7.3
 *     number of the next record                                    those made with this secret so far
 *
 * The secret comes by OpenSSL's log of keys, which is there for those who look at what was sent. It
 * hands out text, which costs each handshake 12 % more instructions. Records are counted by their
 * heads. OpenSSL's own way to the kernel (SSL_OP_ENABLE_KTLS) needs its BIO upon the socket, and a
 * system call for each record. */
#include "server/tls/tls_kernel.h"

#include "server/tls/tls_certificates.h"

#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LABEL "SERVER_TRAFFIC_SECRET_0 "
#define KEY_BYTES_MAX 32u
#define NONCE_BYTES 12u

/* ------------------------------------------------------------------ what OpenSSL tells ----- */

static struct tls_session *session_of(const SSL *ssl) {
	const struct tls_library *library = tls_bio_library();
	return library->BIO_get_data(library->SSL_get_rbio(ssl));
}

static int digit_of(char letter) {
	if (letter >= '0' && letter <= '9') return letter - '0';
	return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

/* 0: they are not pairs of digits, or too many. */
static size_t take_hex(const char *text, uint8_t *bytes, size_t room) {
	size_t count = 0;
	for (; text[0] != '\0'; text += 2, count++) {
		int high = digit_of(text[0]), low = digit_of(text[1]);
		if (high < 0 || low < 0 || count == room) return 0;
		bytes[count] = (uint8_t)(high << 4 | low);
	}
	return count;
}

/* "LABEL random secret", once in a session: later ones have other labels. */
static void on_key(const SSL *ssl, const char *line) {
	struct tls_secret *secret = &session_of(ssl)->secret;
	if (strncmp(line, LABEL, sizeof LABEL - 1) != 0) return;
	const char *digits = strchr(line + sizeof LABEL - 1, ' ');
	if (digits == NULL) return;
	secret->length = (uint8_t)take_hex(digits + 1, secret->bytes, sizeof secret->bytes);
	secret->records = 0;
}

/* A server that has answered with new keys uses another secret, which nobody tells. */
static void on_message(int is_written, int version, int type, const void *bytes, size_t length,
					   SSL *ssl, void *context) {
	(void)version;
	(void)context;
	if (!is_written) return;
	struct tls_secret *secret = &session_of(ssl)->secret;
	if (type == SSL3_RT_HEADER) secret->records++;
	bool is_update =
		type == SSL3_RT_HANDSHAKE && length > 0 && *(const uint8_t *)bytes == SSL3_MT_KEY_UPDATE;
	if (is_update) explicit_bzero(secret, sizeof *secret);
}

void tls_kernel_follow(const struct tls_library *library, SSL_CTX *context) {
	library->SSL_CTX_set_keylog_callback(context, on_key);
	library->SSL_CTX_set_msg_callback(context, on_message);
}

/* ------------------------------------------------------------------ key and nonce ---------- */

/* HKDF-Expand-Label without a context. */
static bool expand(const struct tls_library *library, EVP_KDF_CTX *kdf,
				   const struct tls_secret *secret, const char *digest, const char *label,
				   uint8_t *out, size_t length) {
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
	static const char prefix[] = "tls13 ";
	const OSSL_PARAM how[] = {
		OSSL_PARAM_int(OSSL_KDF_PARAM_MODE, &mode),
		OSSL_PARAM_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t)digest, strlen(digest)),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)secret->bytes,
								secret->length),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_PREFIX, (void *)(uintptr_t)prefix,
								sizeof prefix - 1),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_LABEL, (void *)(uintptr_t)label, strlen(label)),
		OSSL_PARAM_END,
	};
	return library->EVP_KDF_derive(kdf, out, length, how) == 1;
}

struct keys {
	uint8_t key[KEY_BYTES_MAX];
	uint8_t nonce[NONCE_BYTES];
};

static bool derive(const struct tls_library *library, const struct tls_secret *secret,
				   const char *digest, size_t key_bytes, struct keys *keys) {
	EVP_KDF *kind = library->EVP_KDF_fetch(NULL, OSSL_KDF_NAME_TLS1_3_KDF, NULL);
	EVP_KDF_CTX *kdf = kind == NULL ? NULL : library->EVP_KDF_CTX_new(kind);
	bool is_fine = kdf != NULL &&
				   expand(library, kdf, secret, digest, "key", keys->key, key_bytes) &&
				   expand(library, kdf, secret, digest, "iv", keys->nonce, NONCE_BYTES);
	library->EVP_KDF_CTX_free(kdf);
	library->EVP_KDF_free(kind);
	library->ERR_clear_error();
	return is_fine;
}

/* ------------------------------------------------------------------ the socket ------------- */

static bool take_layer(int fd) {
	return setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof "tls") == 0;
}

bool tls_kernel_is_there(void) {
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0) return false;
	bool is_there = take_layer(fd) || errno == ENOTCONN;
	(void)close(fd);
	return is_there;
}

static void put_number(uint8_t out[8], uint64_t number) {
	for (int at = 7; at >= 0; at--, number >>= 8) out[at] = (uint8_t)number;
}

/* Both ciphers' structures are alike but for the length of the key. */
#define FILL(to, name, keys, records)                                       \
	do {                                                                    \
		(to)->info.version = TLS_1_3_VERSION;                               \
		(to)->info.cipher_type = (name);                                    \
		memcpy((to)->key, (keys)->key, sizeof(to)->key);                    \
		memcpy((to)->salt, (keys)->nonce, sizeof(to)->salt);                \
		memcpy((to)->iv, (keys)->nonce + sizeof(to)->salt, sizeof(to)->iv); \
		put_number((to)->rec_seq, records);                                 \
	} while (0)

static bool hand_over(int fd, const struct keys *keys, bool is_256, uint64_t records) {
	union {
		struct tls12_crypto_info_aes_gcm_128 gcm_128;
		struct tls12_crypto_info_aes_gcm_256 gcm_256;
	} info = {0};
	if (is_256)
		FILL(&info.gcm_256, TLS_CIPHER_AES_GCM_256, keys, records);
	else
		FILL(&info.gcm_128, TLS_CIPHER_AES_GCM_128, keys, records);
	socklen_t length = is_256 ? sizeof info.gcm_256 : sizeof info.gcm_128;
	bool is_taken = take_layer(fd) && setsockopt(fd, SOL_TLS, TLS_TX, &info, length) == 0;
	explicit_bzero(&info, sizeof info);
	return is_taken;
}

/* The client has asked for records shorter than the kernel makes (RFC 6066, 4). */
static bool wants_short_records(const struct tls_library *library, const SSL *ssl) {
	uint8_t length = library->SSL_SESSION_get_max_fragment_length(library->SSL_get_session(ssl));
	return length >= TLSEXT_max_fragment_length_512 && length <= TLSEXT_max_fragment_length_4096;
}

static bool begin(const struct tls_session *session, int fd) {
	const struct tls_library *library = tls_bio_library();
	const struct tls_secret *secret = &session->secret;
	uint16_t cipher =
		library->SSL_CIPHER_get_protocol_id(library->SSL_get_current_cipher(session->ssl));
	bool is_256 = cipher == (TLS1_3_CK_AES_256_GCM_SHA384 & 0xffff);
	if (!is_256 && cipher != (TLS1_3_CK_AES_128_GCM_SHA256 & 0xffff)) return false;
	if (secret->length != (is_256 ? 48 : 32)) return false; /* a hash of SHA-384, of SHA-256 */
	if (wants_short_records(library, session->ssl)) return false;
	struct keys keys;
	bool has_begun =
		derive(library, secret, is_256 ? "SHA384" : "SHA256", is_256 ? 32 : 16, &keys) &&
		hand_over(fd, &keys, is_256, secret->records);
	explicit_bzero(&keys, sizeof keys);
	return has_begun;
}

bool tls_kernel_owes_keys(const struct tls_session *session) {
	return tls_bio_library()->SSL_get_key_update_type(session->ssl) != SSL_KEY_UPDATE_NONE;
}

bool tls_kernel_begin(struct tls_session *session, int fd) {
	bool has_begun =
		session->secret.length > 0 && !tls_kernel_owes_keys(session) && begin(session, fd);
	explicit_bzero(&session->secret, sizeof session->secret);
	return has_begun;
}

bool tls_kernel_has_room(int fd) {
	struct pollfd socket = {.fd = fd, .events = POLLOUT};
	return poll(&socket, 1, 0) != 0;
}

void tls_kernel_say_end(int fd) {
	uint8_t alert[] = {SSL3_AL_WARNING, SSL_AD_CLOSE_NOTIFY};
	struct iovec piece = {alert, sizeof alert};
	union {
		char room[CMSG_SPACE(1)];
		struct cmsghdr head; /* aligns it */
	} control = {0};
	struct msghdr message = {.msg_iov = &piece,
							 .msg_iovlen = 1,
							 .msg_control = &control,
							 .msg_controllen = sizeof control};
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	head->cmsg_level = SOL_TLS;
	head->cmsg_type = TLS_SET_RECORD_TYPE;
	head->cmsg_len = CMSG_LEN(1);
	*CMSG_DATA(head) = SSL3_RT_ALERT;
	ssize_t sent = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)sent; /* a courtesy: where the peer does not read it is closed all the same */
}
