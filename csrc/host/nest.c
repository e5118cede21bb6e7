/* A nest as its host sees it: a kept call whose nursery a server forks. */
#include "host/nest.h"

#include <errno.h>

#include "host/host.h"

int
sphttp_server_keep(sphttp_call *mould, const int *fds, size_t count)
{
    (void)mould;
    (void)fds;
    (void)count;
    return 0;
}

int
nest_open(struct sphttp_call *mould, struct sphttp_call **nest)
{
    (void)mould;
    (void)nest;
    return -ENOSYS;
}

int
sphttp_nest_ready(sphttp_call *nest)
{
    return nest->host->nursery_pid != 0;
}

void
sphttp_nest_move(sphttp_call *nest, sphttp_call *mould)
{
    (void)nest;
    (void)mould;
}
