/* metrics_document.c: prints docs/metrics.md from the tables of src/http/http_metrics.c. A test
 * compares them: test_metrics_document.py. */
#include "http/http_metrics.h"

#include <stdio.h>

int main(void) {
	struct text text = {0};
	metrics_write_document(&text);
	bool is_written = !text.failed && fwrite(text.bytes, 1, text.length, stdout) == text.length;
	text_deinit(&text);
	return is_written && fflush(stdout) == 0 ? 0 : 1;
}
