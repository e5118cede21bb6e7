/* Descriptors sent through a socket. */
#ifndef TEP_RIGHTS_H
#define TEP_RIGHTS_H

#include <stddef.h>
#include <sys/types.h>

enum { RIGHTS_MOST = 8 }; /* in one message */

/* Send so many bytes, and with them descriptors, which stay open here too; those below
 * 0 at the end are left out. Never waits. 0 or -errno. */
int rights_send(int to, const void *bytes, size_t size, const int *fds,
                size_t count);

/* Receive a message, and the descriptors, above the streams; -1 for each that did not
 * come. Never waits. How many bytes it had; more than `size`: it was longer; 0: there
 * will be no more; or -errno. */
ssize_t rights_receive(int from, void *bytes, size_t size, int *fds,
                       size_t count);

#endif
