/* replay_corpus.c: runs a fuzz target over stored inputs, without a fuzzer and with any compiler,
 * so that the corpus is a regression test: what a fuzzer found once is met in each test run.
 *
 *     replay_handles DIRECTORY-OR-FILE...
 *
 * Prints as cmocka does: a case is one input. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct paths {
	char **paths;
	size_t count;
};

static void add_path(struct paths *list, const char *directory, const char *name) {
	list->paths = realloc(list->paths, (list->count + 1) * sizeof *list->paths);
	char *path = malloc(strlen(directory) + strlen(name) + 2);
	if (list->paths == NULL || path == NULL) {
		perror("replay");
		exit(2);
	}
	sprintf(path, "%s%s%s", directory, *directory != '\0' ? "/" : "", name);
	list->paths[list->count++] = path;
}

static void add_directory_or_file(struct paths *list, const char *path) {
	DIR *directory = opendir(path);
	if (directory == NULL) {
		add_path(list, "", path);
		return;
	}
	for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
		if (entry->d_name[0] != '.') {
			add_path(list, path, entry->d_name);
		}
	}
	closedir(directory);
}

static void replay(const char *path) {
	struct stat status;
	FILE *file = fopen(path, "rb");
	if (file == NULL || fstat(fileno(file), &status) != 0) {
		perror(path);
		exit(2);
	}
	size_t size = (size_t)status.st_size;
	uint8_t *data = malloc(size + 1);
	if (data == NULL || fread(data, 1, size, file) != size) {
		perror(path);
		exit(2);
	}
	fclose(file);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
}

int main(int argument_count, char **arguments) {
	struct paths list = {0};
	for (int i = 1; i < argument_count; i++) {
		add_directory_or_file(&list, arguments[i]);
	}
	printf("[==========] Running %zu test(s).\n", list.count);
	for (size_t i = 0; i < list.count; i++) {
		printf("[ RUN      ] %s\n", list.paths[i]);
		fflush(stdout);
		replay(list.paths[i]);
		printf("[       OK ] %s\n", list.paths[i]);
		free(list.paths[i]);
	}
	free(list.paths);
	return list.count > 0 ? 0 : 2;
}
