/* What the tests of the C core have in common. */
#ifndef TEP_CHECK_H
#define TEP_CHECK_H

#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#ifndef CHECK /* a test may have more to say */
#define CHECK(condition)                                                      \
    do {                                                                      \
        if (!(condition)) {                                                   \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);   \
            _exit(1);                                                         \
        }                                                                     \
    } while (0)
#endif

struct test {
    const char *name;
    void (*run)(void);
};

#define TEST(name) {#name, name}

/* Run them, and print a line for each that has passed. */
static void
run_tests(const struct test *tests, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        tests[i].run();
        printf("%s\n", tests[i].name);
        (void)fflush(stdout);
    }
}

#endif
