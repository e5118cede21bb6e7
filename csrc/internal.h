/* What the C files tell each other. Data flows one way:
 *
 *   call.c, host/  host: open, fork, wait, close   (collect.c, result.c)
 *     -> nursery/  nursery: fork the children, wait  (limits.c, kill.c)
 *          -> child.c  child: take, write, commit    (hand.c, news.c)
 *               -> record.c  one record: write; host: read  (hmac.c)
 *               -> pool.c  the memory that a pool's records are in
 *                  host: pool_host.c reads them  (extents.c)
 *          -> digest_child.c  child: files to digests, in C
 *               -> digest.c  one file  (sha256_lanes.c, sha256_wide.c)
 *   shared/page.c  what all three see of the call */
#ifndef TEP_INTERNAL_H
#define TEP_INTERNAL_H

#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "sphttp_fork.cdef.h"
#include "base/sha256_lanes.h"
#include "shared/page.h"

enum {
    KEY_SIZE = 32,
    MAC_SIZE = 32,
    NAME_SIZE = 12,                /* of a record's file */
    SCRATCH_SIZE = PATH_MAX + 64   /* of the directory's path */
};

/* What was being done when an errno came up; a constant string. */
typedef const char *doing_t;

/* A pool child's window on the pool's memory. */
struct window {
    char *at;
    uint64_t offset; /* of `at` in the memory */
    size_t room, size;
};

/* What of a file has been written to: in order, and with holes in between. */
struct extent {
    uint64_t from, to;
};
struct extents {
    struct extent *list;
    size_t count, room;
};

/* What a nursery could not do. */
enum trouble {
    TROUBLE_NONE,
    TROUBLE_SIGNALFD,
    TROUBLE_STDIN,
    TROUBLE_SCRATCH,
    TROUBLE_FORK
};

struct payload {
    char *record;  /* malloc; the payload, and the MAC if there is one */
    const char *text; /* the payload: there, or in the pool's memory */
    uint64_t size; /* of the payload, bytes */
    size_t got, wanted; /* of a record that is being read */
    int fate, error;
};

/* A descriptor, and what it must still be of when it is written to: a worker may
 * have closed it, and the number be a file of its own. */
struct held {
    int fd; /* -1: none */
    uint64_t device, inode;
};

/* A hand as the nursery has seen it, which no child can write to. */
struct seen {
    uint32_t item;  /* as of page_in_hand */
    int64_t since;  /* its clock runs since then; 0: not yet */
    int64_t leaving; /* of its child, likewise; 0: it has items */
    int64_t looked;  /* when that was */
    int64_t asked;  /* the item it will be asked about; or -1 */
    bool ready;     /* its child is through with its setup */
};

struct sphttp_call {
    /* Set before the fork, inherited by all. */
    uint32_t count, alive, lanes;
    bool pool, linger, setup, tell, discard;
    bool hold; /* items wait for the watermark; else all may start */
    uint32_t stop_at_failure; /* 0, STOP_NEW or STOP_ALL */
    uint32_t retries;
    int64_t timeout_ns;  /* of an item; 0: none */
    int64_t leave_ns;    /* of a child's end */
    int64_t deadline_ns; /* of the call, by now_ns; 0: none */
    unsigned char key[KEY_SIZE];
    char root[PATH_MAX];
    struct page *page;
    size_t page_size;
    _Atomic uint64_t *state; /* count + 1 of them, behind the page */
    struct hand *hands;      /* alive * lanes of them, there too */
    _Atomic uint32_t *link;  /* tell: 1 + the item that ended before; or NULL */
    struct large *larges;    /* lanes > 1: count of them, there too */
    struct held bell;        /* tell: a pipe's end, to wake the host */
    struct held memory;      /* a memory file that cannot shrink */
    uint32_t *mark;          /* a page that every fork empties; or NULL */
    struct digest *digest;   /* the items are files to digest in C; or NULL */

    /* Of host and nursery. */
    struct ledger *ledger;
    size_t ledger_size;
    struct alive *living;  /* alive of them, behind the ledger */
    struct report *report; /* count + 1 of them, there too */

    /* The nursery's. */
    struct seen *seen; /* alive * lanes of them */
    uint32_t *lives;   /* retries: how often each item's child died */

    /* The host's. */
    pid_t owner;   /* the host's number */
    pid_t nursery; /* 0: none */
    int nursery_fd; /* a pidfd; -1: there is none to be had */
    int host_end, nursery_end;
    int wake[2]; /* a pipe: Python's wake-up descriptor during the call */
    int watching; /* the number by which Python knows it; -1: it does not */
    struct held forward; /* the host's own: it gets what arrives in the pipe */
    bool in_loop; /* the thread is a loop's, which waits for the call */
    int64_t turn_end;   /* Python is to have a look then */
    uint64_t turn_work; /* since the clock was last read */
    bool ended;
    int gathering; /* of sphttp_event_kind: what it heard, and has yet to collect */
    uint32_t gathered; /* of all items: the first so many */
    uint32_t removals; /* so often the scratch directory was not empty yet */
    uint32_t texts, texts_left; /* see py_call_texts */
    uint32_t nurseries_lost;
    doing_t doing;
    struct payload *payloads;
    const char *pool_map; /* the pool's memory, sealed; NULL: records are copied */
    uint64_t pool_mapped;
    bool pool_sealed; /* all that has been written to it is known */
    int pool_reader; /* what they are copied from once `memory` is closed; or -1 */
    struct block *pool_blocks; /* what has been read of it lately; or NULL */
    uint64_t pool_turn; /* so often pool_map has been called */
    struct extents written; /* in that memory, as far as is known */
    int heard;        /* tell: the bell's other end; or -1 */
    bool *told;       /* tell: which items are among... */
    uint32_t *fresh;  /* ...those that have ended, in that order... */
    uint32_t fresh_from, fresh_to; /* ...and these are yet to be told of */
    int both;         /* tell: an epoll of socket and bell; or -1 */
    struct sphttp_call *next_open, **open_link; /* every open call */
    bool stops; /* with the host, at a terminal's Ctrl-Z */

    /* The scratch directory, to whom has opened it. */
    struct held directory;
    uint64_t stamp; /* in its name */

    /* A child's; the nursery sets what the next one begins with. */
    pid_t self;    /* the child's number; 0: this is no child */
    bool in_child; /* also in the nursery */
    struct held pulse; /* it ends when the nursery does */
    bool stripped; /* a pool's worker has closed what it needs: no further item for it,
                    * but for another that takes its place */
    uint32_t slot;
    uint32_t hand; /* of its own, the one that it uses */
    struct window window; /* on the memory */
    /* The pool child's way to sleep: page_await_mark, or round that. */
    bool (*await_mark)(struct page *page, uint32_t mark);

    sigset_t mask; /* the forking thread's; its children's in the end */
};

/* What the host says to the nursery. */
enum { BYTE_GOODBYE, BYTE_LOOK, BYTE_PAUSE, BYTE_RESUME };

/* host/wake.c */

/* Make the pipe that Python's wake-up descriptor is to be. 0 or -errno. */
int wake_open(struct sphttp_call *call);
void wake_close(struct sphttp_call *call);

/* Empty the pipe, for it has done its work: to wake this thread. Was there
 * anything? */
bool forward_signals(struct sphttp_call *call);

/* Python goes on waiting for this thread. */
void turn_begin(struct sphttp_call *call);

/* After `work`, in bytes that were gone through: has Python waited for so long that
 * it must be let on? */
bool turn_over(struct sphttp_call *call, uint64_t work);

/* Likewise, without the GIL: might it have signals to handle? */
bool signals_due(struct sphttp_call *call, uint64_t work);

/* host/farewell.c */

/* A pidfd, which names this process and no later one of its number; -1: the
 * kernel has none to give, or there is no such process. */
int open_process(pid_t pid);

/* Let the nursery end: by itself after a goodbye, when all went well; else it
 * kills what is below it. */
void dismiss_nursery(struct sphttp_call *call, bool goodbye);

/* See the dismissed nursery off. One that does not end is killed. */
void end_nursery(struct sphttp_call *call);

/* Those whose end the nursery did not see; in a pool also what they had in hand. */
void await_orphans(struct sphttp_call *call);

/* call.c */

/* fork() that runs no at-fork handlers, where libc has one. */
extern pid_t (*bare_fork)(void);

/* Fork the nursery: SPHTTP_STARTED, SPHTTP_CHILD or SPHTTP_FAILED. The at-fork
 * hooks of the interpreter are the caller's business. */
sphttp_event call_fork(struct sphttp_call *call);

/* Has it heard of something that it has yet to collect? */
bool call_gathers(const struct sphttp_call *call);

/* Wait for the end, collect, send the nursery off: SPHTTP_ENDED, SPHTTP_SIGNALS,
 * SPHTTP_NEWS, SPHTTP_FAILED; SPHTTP_FORK_AGAIN: the nursery was lost, and items
 * are left. */
sphttp_event call_finish(struct sphttp_call *call);

/* `err`, 0 or -errno, as an event. */
sphttp_event event_of(int err);

/* Would call_close have to wait? */
bool call_lingers(const struct sphttp_call *call);

/* See py_call_close and py_call_free in sphttp_fork.cdef.h. */
void call_close(struct sphttp_call *call);
void call_free(struct sphttp_call *call);

/* collect.c */

/* Open the scratch directory that the nursery made. 0 or -errno. */
int scratch_open(struct sphttp_call *call);

/* Remove one of a nursery that was killed before it could say more than its
 * stamp. */
void scratch_remove_stillborn(struct sphttp_call *call);

/* Remove it, also from under children that are just dying with a nursery that
 * was lost. 0 or -errno. */
int scratch_clear(struct sphttp_call *call);

/* Gather the records of the items in `call->fresh`. 0, -errno, or -EINTR: Python may
 * have signals to handle, and then it goes on from there. */
int collect_fresh(struct sphttp_call *call);

/* Gather every record, and remove the scratch directory. Likewise. */
int collect(struct sphttp_call *call);

/* result.c */

/* An item's fate as far as its record does not tell it; else SPHTTP_RETURNED. Of its
 * state word. */
int fate_of(uint64_t word);

struct payload *payload_of(struct sphttp_call *call, uint32_t index);

/* host/forks.c */

/* Once a process: have every fork of it drop what is of open calls. */
void forks_watch(void);

/* No fork of this process happens in between. What a fork has to drop is opened and
 * closed there. */
void forks_lock(void);
void forks_unlock(void);

/* Under the lock: the call is open; it is no more. Leaving twice is once. */
void forks_enter(struct sphttp_call *call);
void forks_leave(struct sphttp_call *call);

/* The same for a signal handler, which forks_unlock ends. False: it cannot be had. */
bool forks_lock_in_handler(void);

/* Under the lock: say it to every nursery. Async-signal-safe. */
void forks_tell_nurseries(char byte);

/* Make the socket between host and nursery. 0 or -errno. */
int socket_open(struct sphttp_call *call);

/* fork(), whose child keeps what is this call's. */
pid_t socket_fork(struct sphttp_call *call);

/* The nursery has its end: close it here. */
void socket_handed_over(struct sphttp_call *call);

/* Close what is open of it, and the pidfd. */
void socket_close(struct sphttp_call *call);

/* host/terminal.c */

/* Under the forks' lock: the call is open; it is over. Leaving twice is once. */
void terminal_enter(struct sphttp_call *call);
void terminal_leave(struct sphttp_call *call);

/* In a fork of the host, where none is open. Async-signal-safe. */
void terminal_forget(void);

/* nursery/nursery.c */

/* Be the nursery: fork the children, wait for them, end this process. Returns
 * in the children only, and there the item's index. */
uint32_t nursery_run(struct sphttp_call *call);

/* sphttp_fork.c */

/* <root>/tep_par_<pid>_<ts>, with `call->stamp`. */
void scratch_path(const struct sphttp_call *call, char path[SCRATCH_SIZE]);

/* Make the scratch directory, mode 0700, and open it. A descriptor, or -errno
 * and nothing is left behind. */
int scratch_make(struct sphttp_call *call);

/* Remove it with all that is in it, `call->directory` being open; gone is as
 * good as removed. 0 or -errno. Async-signal-safe. */
int scratch_remove(const struct sphttp_call *call);

/* safe.c */

/* Decimal digits of `value`, or `text`, and a NUL; returns the end.
 * Async-signal-safe. */
char *put_decimal(char *to, uint64_t value);
char *put_text(char *to, const char *text);

/* A digest in hexadecimal, and a NUL. */
void put_hex(char *to, const unsigned char digest[SHA256_SIZE]);

int64_t now_ns(void);

/* Close `*fd` unless it is -1, which it is then. */
void close_end(int *fd);

/* `fd`, or a copy of it that leaves 0, 1 and 2 to the streams they are for
 * where the host has closed those. -errno, and then `fd` is closed. */
int above_streams(int fd);

/* Hold `fd`. False: it is none. */
bool held_set(struct held *held, int fd);

/* Is it still of what it was? */
bool held_still(const struct held *held);

/* Close it unless it is -1, which it is then; what it is no longer, a worker's own
 * file, stays open. */
void held_close(struct held *held);

/* Close every descriptor but `spared`, which may be -1. */
void close_all_but(int spared);

/* Signals the host handles get their default action: their handlers are
 * Python's. A handler for a fault, faulthandler's, works in any process. */
void reset_handlers(void);

/* --- Time ------------------------------------------------------------------------ */

#define SECOND INT64_C(1000000000)

/* hmac.c */

/* Fetch what HMAC needs, once a process, before any fork. 0 or -EIO. */
int hmac_prepare(void);

/* HMAC-SHA256 over the parts in turn. 0, -EIO or -EOVERFLOW. */
int hmac_sha256(const void *key, size_t key_size, const struct iovec *parts,
                int count, unsigned char mac[MAC_SIZE]);

/* The SHA-256 of a message. 0 or -EIO. */
int sha256_digest(const void *message, size_t size,
                  unsigned char digest[SHA256_SIZE]);

/* record.c */

struct header {
    uint64_t length; /* of the payload, bytes */
    int64_t started_ns, ended_ns; /* pool; else the nursery knows better */
    uint32_t index;
    uint32_t status;   /* enum sphttp_status */
    uint32_t pid;
    uint32_t mac_size; /* 0 or MAC_SIZE */
};

/* Fill in the rest of the header, and the MAC. 0 or -errno. */
int record_head(const struct sphttp_call *call, struct header *header,
                const void *payload, unsigned char mac[MAC_SIZE]);

/* Is this what record_head made, in so many bytes? */
bool record_plausible(const struct header *header, uint32_t index,
                      uint64_t room);

/* Is the MAC behind the payload the right one? 0, -EBADMSG, -EIO. */
int record_check(const struct sphttp_call *call, const struct header *header,
                 const char *payload);

/* May a file end there? 0, or -EFBIG by RLIMIT_FSIZE: who tries is sent SIGXFSZ,
 * and may die of it. */
int record_fits(uint64_t end);

/* Write a record to its file. 0 or -errno, and then there is no file. */
int record_write(const struct sphttp_call *call, struct header *header,
                 const void *payload);

/* Remove its file, if there is one. Async-signal-safe. */
void record_remove(const struct sphttp_call *call, uint32_t index);

/* There is none: -errno, or -EBADMSG, it is not the one that was written. */
void payload_fail(struct payload *payload, int err);

/* Read it and check it; then all of `payload` is set. The caller frees the record.
 * False: Python may have signals to handle, and it goes on from there. */
bool record_read(struct sphttp_call *call, uint32_t index,
                 struct payload *payload);

/* child.c */

/* See sphttp_child_commit; without what follows. True: the item failed. */
bool child_commit(struct sphttp_call *call, uint32_t index, int status,
                  const void *payload, size_t size, int64_t now);

/* This hand is through with its item, and begins the next now. How to take it. */
int child_turn(struct sphttp_call *call, int64_t now);

/* digest.c */

enum {
    READ_SIZE = 64 << 10, /* bytes; what is read at once */
    BUFFER_SIZE = READ_SIZE + 2 * SHA256_BLOCK, /* with the padding at its end */
    WINDOW_SIZE = 1 << 20 /* bytes; what of a large file is mapped at once */
};

/* What is computed: where the inner and the outer hash of HMAC begin. */
struct algorithm {
    bool keyed; /* else plain SHA-256 */
    struct sha256_state inner, outer;
};

/* A file that is being digested. */
struct file {
    int fd;                 /* -1: none is */
    uint64_t size;          /* bytes, as it was opened */
    uint64_t total;         /* bytes that have been read */
    bool ended;             /* all is in the buffer, the padding too */
    unsigned char *window;  /* what is mapped of it; or NULL */
    bool lost;              /* of which something could not be had */
    struct sha256_state state, before; /* now, and where the window began */
    unsigned char *buffer;  /* BUFFER_SIZE bytes */
    const unsigned char *at; /* in one of both; so many bytes are to be digested */
    size_t left;
};

/* Without a key it is plain SHA-256. 0 or -EIO. */
int algorithm_init(struct algorithm *algorithm, const char *key,
                   size_t key_size);

/* Open it, if it is a regular one; its `buffer` is set already. 0, -errno, or
 * SPHTTP_NOT_A_FILE. */
int file_open(struct file *file, const struct algorithm *algorithm,
              const char *path);
void file_close(struct file *file);

/* Less than a block is left: read on, or with `map`, where that can be, look through
 * a window. 0, -EINTR: once more, or -errno. Then there is a block, or the file
 * has ended and nothing is left. */
int file_fill(struct file *file, const struct algorithm *algorithm, bool map);

/* It has gone on by so many blocks. */
void file_advance(struct file *file, size_t blocks);

/* The digest of a file of which nothing is left, in hexadecimal. */
void file_hex(const struct file *file, const struct algorithm *algorithm,
              char *hex);

/* See py_hmac_sha256_file_hex; -EINTR after `most` bytes more. */
int file_go_on(sphttp_file **file, const char *key, size_t key_size,
               const char *path, uint64_t most, char *hex);

/* digest_child.c */

/* Be a child that digests files, of the call's pool or item `index` alone, and
 * end this process. */
_Noreturn void digest_serve(struct sphttp_call *call, uint32_t index);

/* NULL is allowed. */
void digest_free(struct digest *digest);

/* hand.c */

/* Pool: take the next free item; wait until one may be taken, unless TAKE_NOW.
 * At TAKE_QUICK some may be set aside for this hand. Its index; -1: none; or
 * SPHTTP_RAISED_IDLE: call->await_mark gave up. */
enum { TAKE_QUICK = 1, TAKE_NOW = 2 };
int64_t hand_take(struct sphttp_call *call, int how);

/* Pool: take item `index`, whoever's turn it is; false: it is not free. Only
 * where nothing is left of what was set aside for this hand. */
bool hand_take_this(struct sphttp_call *call, uint32_t index);

/* Move an item of this child's from running to `state`; false: it has been
 * given up. */
bool hand_commit(struct sphttp_call *call, uint32_t index, uint64_t state);

/* Nursery: what is in a hand, 1 + its index, or 0. */
uint32_t hand_item(const struct sphttp_call *call, uint32_t hand);

/* Take `item`, of hand_item, out of that hand: it becomes ITEM_LOST, _LATE, _CUT,
 * or _FREE again. Its index; -1: it was there no longer. */
int64_t hand_give_up(struct sphttp_call *call, uint32_t hand, uint32_t item,
                     uint64_t kind);

/* What becomes of `item`, of hand_item, whose child has died: ITEM_LOST, _FREE
 * where it is to be tried again, _CUT in a call that is cut short. */
uint64_t hand_kind_of_lost(const struct sphttp_call *call, uint32_t item);

/* news.c */

/* Host: make what it takes to tell. 0 or -errno; closing twice is once. */
int news_open(struct sphttp_call *call);
void news_close(struct sphttp_call *call);

/* One that can be read when there is news or the nursery has a word to say; -1:
 * there is no nursery. -errno. */
int news_descriptor(struct sphttp_call *call);

/* Item `index` has ended: tell the host, if it wants to know. False: it does not hear,
 * until the nursery tells it that this child has ended. */
bool news_push(struct sphttp_call *call, uint32_t index);

/* Wake the host, if it wants to know. False: the worker has closed the bell. */
bool news_ring(const struct sphttp_call *call);

/* There may be some that nobody told of: let the host look for them. */
void news_missed(struct sphttp_call *call);

/* Host: note which items have ended since the last time; with `all`, look at
 * every one. */
void news_drain(struct sphttp_call *call, bool all);

/* pool.c */

/* Make the memory. 0 or -errno. */
int pool_open(struct sphttp_call *call);

/* In a child, before its first item. */
void pool_enter(struct sphttp_call *call);

/* Is this process such a child itself, not one that it has forked? */
bool pool_entered(const struct sphttp_call *call);

/* In a child: put a record there. Its offset, a multiple of 8, or -errno. */
int64_t pool_write(struct sphttp_call *call, struct header *header,
               const void *payload);

/* Let go of it. Twice is once. */
void pool_close(struct sphttp_call *call);

/* The same without what is not async-signal-safe, in a process that is not to have
 * any of it. */
void pool_unshare(struct sphttp_call *call);

/* pool_host.c */

/* In the host, before the records of items are read that have ended since the last
 * time; with `seal`, after the end: let nobody write to it any more, and map what
 * has been. 0 or -errno. */
int pool_map(struct sphttp_call *call, bool seal);

/* Find item `index`'s record there; all of `payload` and `header` is set. */
void pool_read(struct sphttp_call *call, uint32_t index,
               struct header *header, struct payload *payload);

/* Forget what is mapped and what is known of it. */
void pool_unmap(struct sphttp_call *call);

/* extents.c */

/* So many bytes from `at` on are known to have been written. */
uint64_t extents_room(const struct extents *extents, uint64_t at);

/* Learn what of [from, to] has been written, of what lies before it too as far as
 * nothing is known there, and on to the next hole. 0 or -errno. */
int extents_learn(struct extents *extents, int fd, uint64_t from, uint64_t to);

void extents_forget(struct extents *extents);

#endif
