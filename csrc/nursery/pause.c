/* A terminal's Ctrl-Z stops the host, which has told us so: the children stop too,
 * and their clocks. The call's own deadline does not. */
#include "nursery/pause.h"

#include "nursery/limits.h"

/* Send it to each child with its group, as the terminal does to a group. */
static void
send_to_children(const struct nursery *nursery, int number)
{
    const struct sphttp_call *call = nursery->call;
    for (uint32_t slot = 0; slot < call->plan.alive; slot++) {
        pid_t pid = call->living[slot].pid;
        /* A child that was just forked may lead no group yet. */
        if (pid > 0 && kill(-pid, number) != 0) {
            (void)kill(pid, number);
        }
    }
}

void
nursery_pause(struct nursery *nursery)
{
    if (!nursery->paused) {
        limits_look(nursery);
        nursery->paused = true;
        nursery->paused_ns = now_ns();
        send_to_children(nursery, SIGTSTP);
    }
}

void
nursery_resume(struct nursery *nursery)
{
    if (nursery->paused) {
        nursery->paused = false;
        nursery->resumed_ns = now_ns();
        limits_shift(nursery->call,
                     nursery->resumed_ns - nursery->paused_ns);
        send_to_children(nursery, SIGCONT);
    }
}
