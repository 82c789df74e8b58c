/* chosen_keys.c: what somebody could ask for who knew the secret: keys whose hashes lie close
 * together, so that they meet in one place of the index.
 *
 *     chosen_keys SECRET FROM WIDTH COUNT      32 hexadecimal digits; parts of the range of hashes,
 *                                              0 to 1
 *
 * Prints the keys, a line each. */
#include <snug/shard.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int read_secret(const char *digits, unsigned char *secret) {
	if (strlen(digits) != 2 * SNUG_HASH_SECRET_BYTES) return -1;
	for (size_t i = 0; i < SNUG_HASH_SECRET_BYTES; i++) {
		const char pair[3] = {digits[2 * i], digits[2 * i + 1], '\0'};
		secret[i] = (unsigned char)strtoul(pair, NULL, 16);
	}
	return 0;
}

int main(int count, char **arguments) {
	unsigned char secret[SNUG_HASH_SECRET_BYTES];
	if (count != 5 || read_secret(arguments[1], secret) != 0 ||
		snug_hash_secret_set(secret) != SNUG_OK) {
		(void)fprintf(stderr, "chosen_keys SECRET FROM WIDTH COUNT\n");
		return 2;
	}
	double from = strtod(arguments[2], NULL), width = strtod(arguments[3], NULL);
	long left = strtol(arguments[4], NULL, 10);
	for (unsigned long number = 0; left > 0; number++) {
		char key[32];
		int length = snprintf(key, sizeof key, "a%lu", number);
		double at = (double)snug_shard_key(key, (size_t)length).hash / 18446744073709551616.0;
		if (at < from || at >= from + width) continue;
		(void)puts(key);
		left--;
	}
	return 0;
}
