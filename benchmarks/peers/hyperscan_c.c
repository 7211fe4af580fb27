/* Scan texts with Hyperscan from C: caseless literals, boundaries tested in the callback.
 *
 * usage: hyperscan_c PATTERNS TEXTS OUTPUTS; one pass for each line on standard input, answered by
 * "wall cpu" in seconds. OUTPUTS then holds one line "text pattern start" per first place.
 */
#include <ctype.h>
#include <hs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct { char **lines; size_t *sizes; size_t count; } Lines;
typedef struct { unsigned text, pattern, start; } Found;

static Lines patterns, texts;
static Found *found;
static size_t found_count, found_room;
static unsigned *seen; /* per pattern: the text, plus one, in which it was met last */
static unsigned current;

static Lines read_lines(const char *path) {
    Lines made = {NULL, NULL, 0};
    size_t room = 0, held = 0;
    char *line = NULL;
    ssize_t size;
    FILE *file = fopen(path, "r");
    if (!file) { perror(path); exit(2); }
    while ((size = getline(&line, &held, file)) > 0) {
        if (line[size - 1] == '\n') line[--size] = 0;
        if (made.count == room) {
            room = room ? 2 * room : 1024;
            made.lines = realloc(made.lines, room * sizeof(char *));
            made.sizes = realloc(made.sizes, room * sizeof(size_t));
        }
        made.lines[made.count] = strdup(line);
        made.sizes[made.count++] = (size_t)size;
    }
    free(line);
    fclose(file);
    return made;
}

static int is_word(char byte) { return isalnum((unsigned char)byte) || byte == '_'; }

static int on_match(unsigned id, unsigned long long from, unsigned long long to, unsigned flags,
                    void *context) {
    const char *text = texts.lines[current];
    size_t start = to - patterns.sizes[id];
    (void)from; (void)flags; (void)context;
    if ((start && is_word(text[start - 1])) || is_word(text[to])) return 0;
    if (seen[id] == current + 1) return 0; /* ends rise, and so do the starts of one literal */
    seen[id] = current + 1;
    if (found_count == found_room) {
        found_room = found_room ? 2 * found_room : 1 << 16;
        found = realloc(found, found_room * sizeof(Found));
    }
    found[found_count++] = (Found){current, id, (unsigned)start};
    return 0;
}

static double now(clockid_t clock) {
    struct timespec at;
    clock_gettime(clock, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    hs_database_t *database = NULL;
    hs_compile_error_t *error = NULL;
    hs_scratch_t *scratch = NULL;
    char command[64];
    if (argc != 4) { fprintf(stderr, "usage: hyperscan_c PATTERNS TEXTS OUTPUTS\n"); return 2; }
    patterns = read_lines(argv[1]);
    texts = read_lines(argv[2]);
    unsigned *flags = malloc(patterns.count * sizeof(unsigned));
    unsigned *ids = malloc(patterns.count * sizeof(unsigned));
    seen = malloc(patterns.count * sizeof(unsigned));
    for (size_t i = 0; i < patterns.count; i++) { flags[i] = HS_FLAG_CASELESS; ids[i] = (unsigned)i; }
    if (hs_compile_lit_multi((const char *const *)patterns.lines, flags, ids, patterns.sizes,
                             (unsigned)patterns.count, HS_MODE_BLOCK, NULL, &database, &error)) {
        fprintf(stderr, "hyperscan_c: %s\n", error->message);
        return 1;
    }
    if (hs_alloc_scratch(database, &scratch)) { fprintf(stderr, "hyperscan_c: no memory\n"); return 1; }
    while (fgets(command, sizeof command, stdin)) {
        found_count = 0;
        memset(seen, 0, patterns.count * sizeof(unsigned));
        double wall = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
        for (current = 0; current < texts.count; current++)
            hs_scan(database, texts.lines[current], (unsigned)texts.sizes[current], 0, scratch,
                    on_match, NULL);
        wall = now(CLOCK_MONOTONIC) - wall;
        cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
        FILE *file = fopen(argv[3], "w");
        if (!file) { perror(argv[3]); return 2; }
        for (size_t i = 0; i < found_count; i++)
            fprintf(file, "%u %u %u\n", found[i].text, found[i].pattern, found[i].start);
        fclose(file);
        printf("%.9f %.9f\n", wall, cpu);
        fflush(stdout);
    }
    return 0;
}
