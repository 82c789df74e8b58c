/* ctl_words.c: which words may stand behind a command's name, so that wrong use is told before a server
 * is asked. A form is elements with a blank between them:
 *
 *     SIZE NUMBER TIME SHARE WINDOW WORD    a value of that kind
 *     a|b                                   one of these words
 *     [bytes SIZE]                          may be left out; neighbours come in any order, each once
 *     ;                                     or another form
 *
 * What a value means, and how large it may be, the server says. */
#include "ctl_command.h"

#include "base/number_text.h"

#include <string.h>

/* What is left to be taken. */
struct rest {
	char **words;
	int count;
};

/* A part of a form. */
struct part {
	const char *bytes;
	size_t length;
};

static bool part_is(const struct part *part, const char *text) {
	return part->length == strlen(text) && memcmp(part->bytes, text, part->length) == 0;
}

/* ------------------------------------------------------------------ values ----------------- */

static bool is_number(const char *word, size_t length) {
	uint64_t value;
	return number_read(word, length, &value);
}

static bool is_size(const char *word, size_t length) {
	uint64_t value;
	return number_read_size(word, length, 1, &value);
}

static bool is_time(const char *word, size_t length) {
	uint64_t value;
	return number_read_seconds(word, length, &value);
}

static bool is_share(const char *word, size_t length) {
	uint64_t value;
	return number_read_share(word, length, &value);
}

static bool is_window(const char *word, size_t length) {
	static const char form[] = "00:00-00:00";
	if (length != sizeof form - 1) return false;
	for (size_t i = 0; i < length; i++) {
		bool is_digit = word[i] >= '0' && word[i] <= '9';
		if (form[i] == '0' ? !is_digit : word[i] != form[i]) return false;
	}
	return true;
}

static bool is_word(const char *word, size_t length) {
	(void)word;
	return length > 0;
}

static const struct kind {
	const char *name;
	bool (*is)(const char *word, size_t length);
} kinds[] = {{"NUMBER", is_number}, {"SIZE", is_size},     {"TIME", is_time},
			 {"SHARE", is_share},   {"WINDOW", is_window}, {"WORD", is_word}};

/* ------------------------------------------------------------------ forms ------------------ */

/* Up to the letter, which is passed over; false: nothing is left. */
static bool next_part(struct part *from, char until, struct part *out) {
	if (from->length == 0) return false;
	const char *end = memchr(from->bytes, until, from->length);
	size_t length = end == NULL ? from->length : (size_t)(end - from->bytes);
	size_t passed = end == NULL ? length : length + 1;
	*out = (struct part){from->bytes, length};
	*from = (struct part){from->bytes + passed, from->length - passed};
	return true;
}

static bool element_fits(struct part element, const char *word) {
	struct part choice;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (part_is(&element, kinds[i].name)) return kinds[i].is(word, strlen(word));
	while (next_part(&element, '|', &choice))
		if (part_is(&choice, word)) return true;
	return false;
}

/* All of its elements, or nothing is taken. */
static bool take_all(struct part elements, struct rest *rest) {
	struct rest left = *rest;
	struct part element;
	while (next_part(&elements, ' ', &element)) {
		if (left.count == 0 || !element_fits(element, left.words[0])) return false;
		left = (struct rest){left.words + 1, left.count - 1};
	}
	*rest = left;
	return true;
}

#define OPTIONALS_MAX 8u

/* "[a] [b N]", in whatever order they come. */
static void take_optionals(struct part optionals, struct rest *rest) {
	struct part groups[OPTIONALS_MAX], ignored;
	size_t count = 0;
	while (count < OPTIONALS_MAX && next_part(&optionals, '[', &ignored) &&
		   next_part(&optionals, ']', &groups[count]))
		count++;
	for (size_t i = 0; i < count;) {
		if (groups[i].length > 0 && take_all(groups[i], rest)) {
			groups[i].length = 0; /* each once */
			i = 0;
		} else {
			i++;
		}
	}
}

/* What must be there, then what may. */
static bool form_fits(struct part form, struct rest rest) {
	const char *bracket = memchr(form.bytes, '[', form.length);
	size_t length = bracket == NULL ? form.length : (size_t)(bracket - form.bytes);
	struct part musts = {form.bytes, length};
	while (musts.length > 0 && musts.bytes[musts.length - 1] == ' ') musts.length--;
	if (!take_all(musts, &rest)) return false;
	take_optionals((struct part){form.bytes + length, form.length - length}, &rest);
	return rest.count == 0;
}

bool command_fits(const struct command *command, char **words, int count) {
	if (command->forms == NULL) return true;
	struct part forms = {command->forms, strlen(command->forms)}, form;
	struct rest rest = {words + 1, count - 1};
	if (forms.length == 0) return rest.count == 0;
	while (next_part(&forms, ';', &form))
		if (form_fits(form, rest)) return true;
	return false;
}
