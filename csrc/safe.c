/* Small things that are safe after a fork among threads: libc's way to do them
 * would allocate, lock, or take more system calls. */
#include "internal.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void
put_hex(char *to, const unsigned char digest[SHA256_SIZE])
{
    for (int i = 0; i < SHA256_SIZE; i++) {
        *to++ = "0123456789abcdef"[digest[i] >> 4];
        *to++ = "0123456789abcdef"[digest[i] & 15];
    }
    *to = '\0';
}

int64_t
now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * SECOND + now.tv_nsec;
}

char *
put_decimal(char *to, uint64_t value)
{
    char digits[20];
    int n = 0;
    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (n > 0) {
        *to++ = digits[--n];
    }
    *to = '\0';
    return to;
}

char *
put_text(char *to, const char *text)
{
    while (*text != '\0') {
        *to++ = *text++;
    }
    *to = '\0';
    return to;
}

bool
in_main_thread(void)
{
    return syscall(SYS_gettid) == getpid();
}

int
sphttp_thread_count(void)
{
    /* The link count of the folder: two, and one for each thread. Counting
     * its entries would take three more system calls. */
    struct stat st;
    if (stat("/proc/self/task", &st) != 0 || st.st_nlink < 3) {
        return 0;
    }
    return (int)st.st_nlink - 2;
}

void
reset_handlers(void)
{
    for (int number = 1; number < NSIG; number++) {
        struct sigaction action;
        if (number == SIGSEGV || number == SIGBUS || number == SIGILL ||
            number == SIGFPE || number == SIGABRT ||
            sigaction(number, NULL, &action) != 0 ||
            action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN) {
            continue;
        }
        memset(&action, 0, sizeof(action));
        action.sa_handler = SIG_DFL;
        (void)sigaction(number, &action, NULL);
    }
}
