/* Small things that are safe after a fork among threads: text, the clock,
 * descriptors and signal handlers. */
#ifndef TEP_SAFE_H
#define TEP_SAFE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/sha256_lanes.h"

#define SECOND INT64_C(1000000000) /* in nanoseconds, as all times are */

/* Decimal digits of `value`, or `text`, and a NUL; returns the end.
 * Async-signal-safe. */
char *put_decimal(char *to, uint64_t value);
char *put_text(char *to, const char *text);

/* A digest in hexadecimal, and a NUL. */
void put_hex(char *to, const unsigned char digest[SHA256_SIZE]);

/* The time by CLOCK_MONOTONIC. */
int64_t now_ns(void);

/* A descriptor, and what it must still be of when it is written to: a worker
 * may have closed it, and the number may be a file of its own. */
struct held {
    int fd; /* -1: none */
    uint64_t device, inode;
};

/* Hold `fd`. False: it is none. */
bool held_set(struct held *held, int fd);

/* Is it still of what it was? */
bool held_still(const struct held *held);

/* Close it unless it is -1, which it is then; what it is no longer, a worker's
 * own file, stays open. */
void held_close(struct held *held);

/* Close `*fd` unless it is -1, which it is then. */
void close_end(int *fd);

/* `fd`, or a copy of it that leaves 0, 1 and 2 to the streams they are for
 * where the host has closed those. -errno, and then `fd` is closed. */
int above_streams(int fd);

/* A pipe, both ends above the streams. 0; or -errno, and both are -1. */
int open_pipe(int ends[2], int flags);

/* Close every descriptor but `spared`, which may be -1. */
void close_all_but(int spared);

/* Every descriptor from `first` on closes at an exec. */
void close_at_exec(int first);

/* A pidfd, which names this process and no later one of its number; -1: the
 * system has none to give, or there is no such process. */
int open_process(pid_t pid);

/* Signals the host handles get their default action: their handlers are
 * Python's. A handler for a fault, faulthandler's, works in any process. */
void reset_handlers(void);

#endif
