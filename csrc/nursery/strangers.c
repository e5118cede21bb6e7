/* Processes below a nursery that are no children of its call: a worker has left them
 * running, on purpose, and they lost their parent. A nest that has any may serve no
 * further round, for the end of one may kill all that is below the nursery. */
#include "nursery/strangers.h"

#include <sys/socket.h>
#include <sys/wait.h>

#include "nursery/kill.h"

static bool
is_alive(pid_t pid)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == 0;
}

static void
note_stranger(void *whose, pid_t pid)
{
    const struct sphttp_call *call = whose;
    for (uint32_t slot = 0; slot < call->plan.alive; slot++) {
        if (call->living[slot].pid == pid) {
            return;
        }
    }
    if (is_alive(pid)) {
        call->ledger->strangers = 1;
    }
}

void
strangers_count(const struct nursery *nursery)
{
    struct sphttp_call *call = nursery->call;
    if (list_children(note_stranger, call) != 0) {
        call->ledger->strangers = 1; /* nobody can tell */
    }
    (void)send(nursery->host, &(char){WORD_COUNTED}, 1,
               MSG_DONTWAIT | MSG_NOSIGNAL);
}
