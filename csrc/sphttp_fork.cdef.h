/* All that Python may call: build_ext.py reads this text word for word, and
 * the C includes it, so the two cannot drift. No preprocessor lines here.
 *
 * Every int is 0 (or the value named) on success and -errno on failure.
 * What is named py_ knows the GIL: it is entered holding it, and gives it up
 * only where it sleeps or computes for long. The rest never gives it up. */

typedef struct sphttp_call sphttp_call;

enum { SPHTTP_NOT_MAIN = -100000 }; /* this is not the main interpreter */
enum { SPHTTP_NO_UTF8 = -100001 };  /* a str without a UTF-8 form */
enum { SPHTTP_NOT_A_FILE = -100003 }; /* a FIFO, a socket or a device */
enum { SPHTTP_NOT_SMALL = -100005 };  /* files are for children to digest */
enum { SPHTTP_RAISED_IDLE = -100004 }; /* a signal handler has, between two items */

/* What py_call_start and py_call_run come back with. */
enum sphttp_event_kind {
    SPHTTP_STARTED = 0,   /* in the host: the nursery is forked */
    SPHTTP_CHILD = 1,     /* this process is a child, and has an item; see py_child_first */
    SPHTTP_ENDED = 2,     /* every child has ended */
    SPHTTP_NEWS = 3,      /* items have ended: see sphttp_call_next */
    SPHTTP_SIGNALS = 4,   /* Python has signals to handle */
    SPHTTP_FAILED = 5,    /* see error, and sphttp_call_doing */
    SPHTTP_ELSEWHERE = 6, /* this is not the main interpreter */
    SPHTTP_FORK_AGAIN = 7 /* never seen by Python */
};

typedef struct {
    int kind;       /* of sphttp_event_kind */
    uint32_t index; /* with SPHTTP_CHILD: its item's */
    int error;      /* with SPHTTP_FAILED: errno */
} sphttp_event;

/* What a child does after its last item, in this order. */
enum sphttp_leaving {
    SPHTTP_TEARDOWN = 1,   /* the worker's teardown */
    SPHTTP_JOINING = 2,    /* waiting for threads of the worker's */
    SPHTTP_FINALIZING = 3, /* running finalizers of multiprocessing */
    SPHTTP_FLUSHING = 4    /* writing what is left in its streams */
};

/* How a child says that it is through with its item. */
enum sphttp_status {
    SPHTTP_RETURNED = 1,     /* the payload is the text, UTF-8 */
    SPHTTP_ENCODED = 2, SPHTTP_ENCODED_TEXT = 3, /* a codec's bytes, or UTF-8; authenticated */
    SPHTTP_RAISED = 4,       /* an exception as text; never unpickled */
    SPHTTP_RAISED_AS = 5,    /* the same and its pickle; authenticated */
    SPHTTP_NOT_TEXT = 6,     /* the name of the type that process returned */
    SPHTTP_DISCARDED = 7,    /* it returned, and nobody wants to know what */
    SPHTTP_NO_DIGEST = 8,    /* the payload is -errno or SPHTTP_NOT_A_FILE */
    /* Or'ed to one: it was given with Break, no new item starts; or Kill, what runs is killed. */
    SPHTTP_BREAK = 16,
    SPHTTP_KILL = 32
};

/* What became of an item; a status above, or one of these. */
enum sphttp_fate {
    SPHTTP_NOT_BEGUN = 0,
    SPHTTP_DIED = -1,      /* its child ended without a result */
    SPHTTP_UNWRITTEN = -2, /* the result could not be written: see error */
    SPHTTP_UNREAD = -3,    /* the result could not be read: see error */
    SPHTTP_TAMPERED = -4,  /* the record is not the one that was written */
    SPHTTP_LATE = -5,      /* its child was killed at the item's limit */
    SPHTTP_CUT = -6,       /* its child was killed with the whole call */
    SPHTTP_NOT_STARTED = -7 /* the command could not be executed: see error */
};

typedef struct {
    int fate;             /* of sphttp_fate, or of sphttp_status */
    int error;            /* errno, with SPHTTP_UNWRITTEN, _UNREAD and _NOT_STARTED */
    int pid;              /* of the child; 0: there was none */
    int wait_status;      /* as wait4 gave it; -1: nobody saw it end */
    unsigned int attempts;
    int64_t started_ns;   /* CLOCK_MONOTONIC; 0: never */
    int64_t ended_ns;
    int64_t cpu_ns;       /* user and system */
    int64_t max_rss;      /* bytes */
    unsigned int printed; /* a command, or'ed: 1: to its standard output, 2: to its standard
                           * error; sphttp_call_output has it */
    const char *payload;  /* the call's, until sphttp_call_drop */
    uint64_t size;        /* bytes */
} sphttp_result;

/* What kind of call it is; or'ed. */
enum sphttp_how {
    SPHTTP_STOP = 1,  /* no item starts after one failed */
    SPHTTP_POOL = 2,  /* a child takes item after item; else one */
    SPHTTP_LINGER = 4, /* a child has something to do after its last item */
    SPHTTP_CUT_SHORT = 8, /* after one failed, what runs is killed */
    SPHTTP_SETUP = 16, /* an item's clock starts at sphttp_child_begin only */
    SPHTTP_TELL = 32, /* py_call_run returns whenever items have ended */
    SPHTTP_LANES = 64, /* a pool's children may have several items in hand; not for items
                        * with a limit, which would share their time */
    SPHTTP_DISCARD = 128, /* an item may be SPHTTP_DISCARDED */
    SPHTTP_FED = 256, /* items come while children run: py_call_feed; `count` is that of the
                       * cells, each of which holds one at a time. With it, SPHTTP_TELL */
    SPHTTP_KEPT = 512, /* with SPHTTP_FED, a pool: children stay when there are no more
                        * items, for other rounds: sphttp_nest_begin */
    SPHTTP_SERVER = 1024,  /* with SPHTTP_KEPT: a mould, for py_nest_open */
    SPHTTP_PATIENT = 2048, /* of a round: the host need hear of nothing before it is over */
    SPHTTP_REAPED = 4096, /* of a round: an item has ended when its child has been reaped */
    /* With SPHTTP_FED and SPHTTP_DISCARD, no pool: items are commands, started by vfork and
     * exec: the program's path and its arguments, the first of which is its name, with a NUL
     * behind each. Of one that exits with 0 the fate is SPHTTP_DISCARDED, else SPHTTP_DIED. */
    SPHTTP_COMMAND = 8192,
    SPHTTP_UNGROUPED = 16384 /* with that: they print not to files, for sphttp_call_output */
};

/* Prepare a call of `count` items (at least 1), at most `alive` children (at least 1)
 * at once; `how` is of sphttp_how. The scratch directory will be made below `root`.
 * Nothing is forked. The caller frees `*call`, when 0 was returned, with py_call_free.
 * -ENAMETOOLONG, -ENOMEM, -EMFILE, -EOVERFLOW, -EIO (no random numbers). */
int sphttp_call_open(uint32_t count, uint32_t alive, int how,
                     const char *root, sphttp_call **call);

/* sphttp_call_open, where this is the main interpreter; else
 * SPHTTP_NOT_MAIN. The call, or NULL, and why in `*error`. */
sphttp_call *py_call_open(uint32_t count, uint32_t alive, int how,
                          const char *root, int *error);

/* Kept children. A mould is a call without items. It says what the nests are like that
 * are made after it, each a call that is kept; limits and quota are set before the
 * fork. py_call_start of a mould forks the server: SPHTTP_STARTED in the host, and
 * SPHTTP_CHILD in every child of every nest. There the mould's handle is the one to
 * use. Closing a mould ends its server, and no nest. */

/* Before the fork of a mould: these descriptors, open now, stay open in its children,
 * beside the streams 0 to 2. All others say EBADF there. 0 or -ENOMEM. */
int sphttp_server_keep(sphttp_call *mould, const int *fds, size_t count);

/* Prepare a nest. py_call_start then asks the server for its nursery and does not wait:
 * SPHTTP_STARTED; SPHTTP_FAILED with EPIPE: the server is gone. So may py_call_run,
 * which also says ETIMEDOUT after 10 s without a nursery: call it again, or close the
 * nest. Its first word of a nest may be SPHTTP_NEWS with nothing behind it: the nursery
 * is there. The caller frees the nest with py_call_free. NULL, and why in `*error`: as
 * sphttp_call_open; -ECHILD: the mould is another process's. */
sphttp_call *py_nest_open(sphttp_call *mould, int *error);

/* Is the nest's nursery there? 1; 0: it is under way, or was not asked for; -EPIPE: it
 * is gone, or its server is; -errno: the server could not fork it. Never waits. */
int sphttp_nest_ready(sphttp_call *nest);

/* The nest's server is gone: from now on it asks that of another mould, which must be
 * like its own. */
void sphttp_nest_move(sphttp_call *nest, sphttp_call *mould);

/* Before the fork. An item may run `timeout_ns`, the call `deadline_ns` from
 * now, 0: for ever; and an item whose child died is tried `retries` times
 * again. 0 or -ENOMEM. */
int sphttp_call_limit(sphttp_call *call, int64_t timeout_ns,
                      int64_t deadline_ns, uint32_t retries);

/* Before the fork of a pool: a child takes so many items, at least 2, and makes room
 * for another; 0: it takes as many as there are. Of a kept call 1 is allowed: then its
 * children are fresh, each is used once. */
void sphttp_call_quota(sphttp_call *call, uint32_t quota);

/* Before the fork of a kept call: so many idle children stand ready between two rounds;
 * 0: none. Unless it is called, as many as may be alive. */
void sphttp_call_ahead(sphttp_call *call, uint32_t ready);

/* Before the fork, or later: feed the next item, the id() of a str or, of a pickle, of
 * bytes. Its cell, which takes the place of its index in all that is declared here.
 * Items begin in the order in which they are fed; in a call that is stopping they do
 * not begin. -EAGAIN: no cell is free, or one that was fed that long ago has not begun;
 * try again when an item has ended. -EFBIG (RLIMIT_FSIZE), -ENOMEM, -ENOSPC: there is
 * no room for it. After an error nothing was fed. */
int py_call_feed(sphttp_call *call, uintptr_t item);

/* Why py_call_pull came back. */
enum sphttp_pulled {
    SPHTTP_ENOUGH = 0,    /* no more may be fed, or an item has ended */
    SPHTTP_EXHAUSTED = 1, /* there are no more items */
    SPHTTP_UNFED = 2,     /* the next item is in the box: no str, or py_call_feed fails */
    SPHTTP_PULL_RAISED = 3 /* so is what the iterator, or a signal handler, has raised */
};

/* Pull items, `most` at most, out of an iterator, and feed those that are a str, until
 * an item has ended, and a moment longer. Each, and its number, of which `number` is the first, is put into
 * two lists at its cell. All objects by their id(); `box` is a list of two. How many
 * were fed, times 4, and why it came back. */
int64_t py_call_pull(sphttp_call *call, uintptr_t source, uint64_t number,
                     uint32_t most, uintptr_t items, uintptr_t numbers,
                     uintptr_t box);

/* Those that were fed are all. */
void sphttp_call_end_feed(sphttp_call *call);

/* The item in this cell has ended, and nobody will ask for its result any more: let
 * the cell be used anew. */
void sphttp_call_release(sphttp_call *call, uint32_t cell);

/* Before the fork: the items are files, and each is to be digested in C. `paths` are
 * their names, NUL-terminated, one behind the other, and stay the caller's for as long
 * as the call is open. The key as below; `kernel` as of sphttp_sha256_kernel. 0,
 * -ENOMEM, -EINVAL: there is no such routine here, or not one path for each item. */
int sphttp_call_digest(sphttp_call *call, const char *paths, size_t size,
                       const char *key, size_t key_size, const char *kernel);

/* How many items the children may have in hand, all together. */
uint32_t sphttp_call_hands(const sphttp_call *call);

/* The bytes that have been digested so far. */
uint64_t sphttp_call_bytes(const sphttp_call *call);

/* The name of the SHA-256 routine for several files in hand at once: `wanted`,
 * or for "" the one that is fastest here, which the first to ask measures. NULL:
 * the processor has no such routine. */
const char *sphttp_sha256_kernel(const char *wanted);

/* Of `count` files in hand that routine goes on with so many at once first, and
 * then with others; for 0, it is the most that are in hand. 0: no such routine. */
uint32_t sphttp_sha256_lanes(const char *wanted, uint32_t count);

/* Measured: the nanoseconds that it takes for 4 KiB of each of `count` files, in
 * memory. -EINVAL: no such routine, or so many are not in hand. */
int64_t sphttp_sha256_time(const char *wanted, uint32_t count);

/* Let the items below `watermark` start. Before the fork: from now on items
 * wait for that, and else all may start. */
void sphttp_call_allow(sphttp_call *call, uint32_t watermark);

/* In Python's main thread: from now on signals wake py_call_run, until the
 * call is closed. The host's own wake-up descriptor gets what arrives, and is
 * set again then, if it is still the file that it was. In another thread
 * Python handles no signals, and nothing is done. 0 or -errno. */
int py_call_watch(sphttp_call *call);

/* Does its host wait elsewhere, in a loop of its own? Then py_call_run never sleeps: for
 * SPHTTP_STARTED there is nothing to do before sphttp_call_descriptor can be read, and
 * for SPHTTP_SIGNALS 5 ms were spent, and there is more to do at once. */
void sphttp_call_elsewhere(sphttp_call *call, int elsewhere);

/* From now on py_call_run also returns, with SPHTTP_NEWS, when `fd` can be read; -1: no more. */
void sphttp_call_beside(sphttp_call *call, int fd);

/* For a thread that a loop owns: fork the nursery. The event's kind, with all of it in
 * `*event`: no child has to make an object to see what it is. SPHTTP_STARTED: go on with
 * py_call_run, at the latest when sphttp_call_descriptor can be read. SPHTTP_CHILD: the
 * caller must end in sphttp_exit or sphttp_child_commit, whatever happens.
 * SPHTTP_ELSEWHERE, or SPHTTP_FAILED; ECHILD: the call is another process's. */
int py_call_start(sphttp_call *call, sphttp_event *event);

/* Start what py_call_start has not, wait for the end, collect the results, send the
 * nursery off. One call, which takes the GIL once, to come back. SPHTTP_ENDED; in a child
 * as above; SPHTTP_NEWS and SPHTTP_SIGNALS: call again; SPHTTP_FAILED. Close it in any case. */
int py_call_run(sphttp_call *call, sphttp_event *event);

/* With SPHTTP_TELL: the next of the items that have ended, in the order in
 * which they did, but those that were released; -1: there is none yet. After the end, all
 * are told of. */
int64_t sphttp_call_next(sphttp_call *call);

/* Would py_call_run return at once, or are there items that sphttp_call_next would
 * tell of? It asks the kernel for nothing. */
int sphttp_call_ready(const sphttp_call *call);

/* A nest is a kept call, which serves rounds: what a call is to a user. The rounds go on
 * from one to the next with cells and numbers; those that py_call_pull and py_call_take
 * speak of begin with 0 in each.
 *
 * Begin a round, before or after the fork: `how` is of SPHTTP_STOP, _CUT_SHORT, _DISCARD,
 * _PATIENT and _REAPED; it is cut short `deadline_ns` from now, 0: never. Then feed it,
 * also call sphttp_call_end_feed, and py_call_run until SPHTTP_ENDED: every item has
 * ended, or will not begin for the round was stopped, and no child has anything in hand.
 * It waits for nothing. 0; -ESTALE: the nest can serve no other; close it. */
int sphttp_nest_begin(sphttp_call *nest, int how, int64_t deadline_ns);

/* After SPHTTP_ENDED, when all results that are wanted have been fetched: every cell is
 * released, and 1: the nest can serve another round; or 0: close it. So it is after a
 * Kill, a deadline, a limit, a death, an abort, a setup or a teardown that failed, and
 * when its nursery was lost; also where workers have left processes behind, which live
 * on when it is closed. 2: likewise 1, but sphttp_nest_begin may yet refuse, for workers
 * have started processes, and it is not known yet whether all have ended. */
int sphttp_nest_renew(sphttp_call *nest);

/* There is no further round: the children end, with their teardown. Go on with
 * py_call_run until SPHTTP_ENDED; close it. */
void sphttp_nest_leave(sphttp_call *nest);

/* The number of its nursery; 0: there is none. */
int sphttp_nest_pid(const sphttp_call *nest);

/* Let no new item start; what runs may end. From any thread; the call must not be freed then. */
void sphttp_call_stop(sphttp_call *call);

/* Will no new item start? */
int sphttp_call_stopping(const sphttp_call *call);

/* Was the call cut short at its deadline? */
int sphttp_call_overdue(const sphttp_call *call);

/* The call's descriptor, to wait for before py_call_run; -1: it is not under way; -errno. */
int sphttp_call_descriptor(sphttp_call *call);

/* After a failure: what was being done, a constant string. */
const char *sphttp_call_doing(const sphttp_call *call);

/* Has a child committed item `index`? From any thread; the call must not be freed then. */
int sphttp_call_committed(const sphttp_call *call, uint32_t index);

/* What became of item `index`, after the end. Item `count` is the call itself:
 * what sphttp_child_fail has left, if anything. */
void sphttp_call_result(sphttp_call *call, uint32_t index,
                        sphttp_result *result);

/* The same, with its payload where that was left in memory: size without payload. */
void sphttp_call_copy(sphttp_call *call, uint32_t index, sphttp_result *result);

/* Open, once, what the command of item `number` has printed, when it has ended: its standard
 * output (`stream` 0) or its standard error (1). A descriptor; -ENOENT: it is empty; -errno. */
int sphttp_call_output(sphttp_call *call, uint64_t number, int stream);

/* In a loop, once nobody asks for results any more: give their memory back to the kernel.
 * `unread`: unless some may be asked for. 1: call it again, for there is more. */
int sphttp_call_empty(sphttp_call *call, int unread);

/* After that: let go of what is left of it. */
void sphttp_call_forget(sphttp_call *call);

/* In a fed call of which all items have been fed by now: append to `list` the texts of
 * the items from `number` on that have ended and returned one, up to the first that has
 * not; None for one whose result was dropped. Their cells are released, and say None and
 * -1 in the two lists of py_call_pull. `texts` is that of py_call_decode. How many. */
uint32_t py_call_take(sphttp_call *call, uint64_t number, uintptr_t list,
                      uintptr_t items, uintptr_t numbers, uintptr_t texts);

/* In a fed call that is driven from a loop: put the large texts into `list`, by cell, of
 * the items that sphttp_call_next will tell of. 1: call it again, for there is more. */
int py_call_decode(sphttp_call *call, uintptr_t list);

/* Put the text of each item that returned one into `list`, the id() of a list
 * of `count`; in a fed call, of each that sphttp_call_next will tell of. How many items are left that have another fate, or a text that
 * is none; -1: call it again, when Python has had a look at its signals. */
int64_t py_call_texts(sphttp_call *call, uintptr_t list);

/* End what runs of the call, from any thread, also the one that drives it: at return
 * nothing of it is alive. No item starts any more. py_call_run gathers what had been
 * committed, and comes back with SPHTTP_FAILED, ECANCELED. Always 0; in another
 * process than the host nothing is done. The call must not be freed meanwhile. */
int sphttp_call_abort(sphttp_call *call);

/* sphttp_call_abort, without the GIL. */
int py_call_abort(sphttp_call *call);

/* The same, but wait for nothing: what runs is being killed at return, and whoever drives
 * the call sees to its end. */
void sphttp_call_cancel(sphttp_call *call);

/* Tell the nursery to end what runs, and wait for nothing. py_call_close waits for what
 * is left of three seconds then. 0. */
int sphttp_call_dismiss(sphttp_call *call);

/* The descriptor to wait on, for reading, before this is called again; -1: the nursery
 * is gone, or there was none. It is the call's. -EAGAIN: the kernel has no pidfd; call
 * it again in a moment. */
int sphttp_call_ending(sphttp_call *call);

/* Free the payload of item `index`. */
void sphttp_call_drop(sphttp_call *call, uint32_t index);

/* End the call: where it has not ended by itself, everything below the nursery
 * is killed and reaped, and the scratch directory removed. Twice is once. */
void py_call_close(sphttp_call *call);

/* Close and free. NULL is allowed. */
void py_call_free(sphttp_call *call);

/* Is this process a child of the call? */
int sphttp_call_in_child(const sphttp_call *call);

/* In the child that has item `index` in hand: write its record and commit it.
 * The index of its next item. -1: there is none, and the child must end; -2:
 * the child must end, and the item failed. A child that need not linger and
 * has one thread ends here. So does a process that the child has forked. */
int64_t sphttp_child_commit(sphttp_call *call, uint32_t index, int status,
                            const char *payload, size_t size);

/* sphttp_child_commit for an item that returned `text`, the id() of a str.
 * SPHTTP_NO_UTF8: that has none, since it holds a lone surrogate; nothing was done. */
int64_t py_child_commit_text(sphttp_call *call, uint32_t index,
                             uintptr_t text);

/* In a child of a kept call that is ready for items: wait for the first. Its index; -1:
 * there is none, and the child must end; or SPHTTP_RAISED_IDLE. */
int64_t py_child_first(sphttp_call *call);

/* In a child that has an item: is what it returns dropped? */
int sphttp_child_discards(const sphttp_call *call);

/* In a child of a fed call: put the item of its cell into `box`, the id() of a list. 0:
 * it is a str; 1: the bytes of a pickle; -errno. */
int py_child_item(sphttp_call *call, uint32_t cell, uintptr_t box);

/* In a pool's child: call `process` with one of `items` after another, both id()s,
 * beginning with `index`, and commit the texts; with `discard` 1, or where it is 2 and
 * sphttp_child_discards says so, whatever it returns. Where `loads` is not 0 they are
 * those that were fed, and `loads`, the id() of a function of bytes, unpickles what is a pickle: what that raises is as if
 * `process` had. As sphttp_child_commit, when there is no item left. Else the index of
 * one that is not committed, and in `box`, the id() of a list of two, stands
 * what it returned, no text with a UTF-8 form, or what it raised. */
int64_t py_child_work(sphttp_call *call, uint32_t index, uintptr_t process,
                      uintptr_t items, uintptr_t loads, int discard,
                      uintptr_t box);

/* After SPHTTP_RAISED_IDLE, which the two above return where a signal handler of the
 * worker's has raised while the child waited for an item that may start: put what it
 * raised into `box`, the id() of a list of two, where py_child_work would. */
void py_child_raised(uintptr_t box);

/* In a child: what is wrong is wrong with all children. Begin no new item,
 * keep the record for the call, and end this process. */
void sphttp_child_fail(sphttp_call *call, int status, const char *payload,
                       size_t size);

/* In a child, with SPHTTP_SETUP: its first item begins now. */
void sphttp_child_begin(sphttp_call *call);

/* In a child: it has something to do after its last item. */
void sphttp_child_linger(sphttp_call *call);

/* In a child that has committed its last item: what it does now, of enum
 * sphttp_leaving. With the first its clock of leaving starts: the item's
 * limit, or 10 s where there is none. */
void sphttp_child_leave(sphttp_call *call, int stage);

/* In a child: end this process, with this status. In a kept one that has nothing in
 * hand nobody waits for it from now on; so all of its own end must be behind it. */
void sphttp_child_exit(sphttp_call *call, int status);

/* After the end: the first child that was killed while it left; its pid and
 * what it was doing, of enum sphttp_leaving. 0: there was none. */
int sphttp_call_overstayed(const sphttp_call *call, int *stage);

/* After the end: the first child that ended in its setup; its pid and how, as
 * wait4 gave it. 0: there was none. */
int sphttp_call_unready(const sphttp_call *call, int *wait_status);

/* In a child: the number of its place among those alive, from 0. */
uint32_t sphttp_child_slot(const sphttp_call *call);

/* Has this process one thread? 0: it has more, or nobody can tell. */
int sphttp_is_alone(void);

/* fork() with the interpreter's at-fork hooks: 0 in the child, the pid in the
 * parent, -errno, or SPHTTP_NOT_MAIN. */
int py_fork(void);

/* _exit(status): no exit handlers, no flushing. */
void sphttp_exit(int status);

int sphttp_getpid(void);

/* HMAC-SHA256 of the message into `hex`, 64 lower-case digits and a NUL.
 * -EOVERFLOW: a key above INT_MAX bytes. */
int sphttp_hmac_sha256_hex(const char *key, size_t key_size,
                           const char *message, size_t message_size,
                           char *hex);

/* sphttp_hmac_sha256_hex, without the GIL where the message is long. */
int py_hmac_sha256_hex(const char *key, size_t key_size,
                       const char *message, size_t message_size, char *hex);

/* HMAC-SHA256 of what the file at `path` contains; with a NULL key its
 * SHA-256. What is no regular file is refused before it is read. -errno;
 * -EISDIR: a directory; SPHTTP_NOT_A_FILE. */
int sphttp_hmac_sha256_file_hex(const char *key, size_t key_size,
                                const char *path, char *hex);

/* sphttp_hmac_sha256_file_hex, without the GIL. It returns -EINTR when signals
 * are due in Python, and now and then: call it again. `*file`, first NULL, is
 * what it goes on with; free it with sphttp_file_free in any case. */
typedef struct sphttp_file sphttp_file;
int py_hmac_sha256_file_hex(sphttp_file **file, const char *key,
                            size_t key_size, const char *path, char *hex);
void sphttp_file_free(sphttp_file *file);

/* The digests of a few files, in this thread. `paths` to `kernel` are as of
 * sphttp_call_digest; `paths` stays the caller's for as long as it is open. `most`:
 * bytes that may be read in all, where each file counts for some more. `stop`:
 * whether no file is begun after one that failed. `*error` is 0, and the result is
 * to be freed; or -ENOMEM, -EINVAL as there, SPHTTP_NOT_MAIN,
 * SPHTTP_NOT_SMALL: there are too many. */
typedef struct sphttp_small sphttp_small;
sphttp_small *py_small_open(const char *paths, size_t size, uint32_t count,
                            const char *key, size_t key_size,
                            const char *kernel, uint64_t most, int stop,
                            int *error);
void sphttp_small_free(sphttp_small *small);

/* Digest them, without the GIL. 0: this is done. -EINTR: signals are due in Python, or
 * it has been some time: call it again. SPHTTP_NOT_SMALL: they may be too many, too
 * large or too slow for this thread, and it shall not be called again. */
int py_small_run(sphttp_small *small);

/* When this is done, for each file: how it went, 0, SPHTTP_UNTRIED, or as of
 * sphttp_hmac_sha256_file_hex; and 64 digits, where it is 0. */
enum { SPHTTP_UNTRIED = 1 };
const int32_t *sphttp_small_codes(const sphttp_small *small);
const char *sphttp_small_hex(const sphttp_small *small);
