/* plain.c: see plain.h. What JSON writes as a number is what a terminal must not get. */
#include "plain.h"

#include "base/json_text.h"

void print_plain(FILE *file, const char *text, size_t length) {
	char part[JSON_PART_BYTES];
	for (size_t taken; length > 0; text += taken, length -= taken) {
		taken = json_take_part(text, length, part);
		if (part[0] != '\\' || part[1] != 'u') {
			(void)fwrite(text, 1, taken, file);
			continue;
		}
		for (size_t i = 0; i < taken; i++) fprintf(file, "\\x%02x", (unsigned char)text[i]);
	}
}
