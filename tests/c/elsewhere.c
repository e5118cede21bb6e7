/* Preloaded into an interpreter: its main function runs in a second thread, and the
 * first only waits for it. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

typedef int main_t(int, char **, char **);
typedef int start_t(main_t *, int, char **, void (*)(void), void (*)(void),
                    void (*)(void), void *);

static main_t *real;
static int count, status;
static char **given, **settings;

static void *
run(void *nothing)
{
    status = real(count, given, settings);
    return nothing;
}

static int
wait_for_it(int argc, char **argv, char **envp)
{
    pthread_t thread;
    count = argc;
    given = argv;
    settings = envp;
    if (pthread_create(&thread, NULL, run, NULL) != 0 ||
        pthread_join(thread, NULL) != 0) {
        abort();
    }
    return status;
}

int
__libc_start_main(main_t *main, int argc, char **argv, void (*init)(void),
                  void (*fini)(void), void (*rtld_fini)(void), void *end)
{
    start_t *start = (start_t *)dlsym(RTLD_NEXT, "__libc_start_main");
    real = main;
    return start(wait_for_it, argc, argv, init, fini, rtld_fini, end);
}
