/* Descriptors sent through a socket. Async-signal-safe. */
#include "base/rights.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/safe.h"

/* Room for what goes beside the bytes. */
union control {
    struct cmsghdr first; /* for its alignment */
    char bytes[CMSG_SPACE(sizeof(int) * RIGHTS_MOST)];
};

int
rights_send(int to, const void *bytes, size_t size, const int *fds,
            size_t count)
{
    union control control = {0};
    struct iovec part = {(void *)(uintptr_t)bytes, size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    while (count > 0 && fds[count - 1] < 0) {
        count--;
    }
    if (count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(header), fds, sizeof(int) * count);
    }
    ssize_t n;
    do {
        n = sendmsg(to, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n >= 0 ? 0 : -errno;
}

ssize_t
rights_receive(int from, void *bytes, size_t size, int *fds, size_t count)
{
    union control control = {0};
    struct iovec part = {bytes, size};
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = CMSG_SPACE(sizeof(int) * count),
    };
    for (size_t i = 0; i < count; i++) {
        fds[i] = -1;
    }
    ssize_t n;
    do {
        n = recvmsg(from, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n <= 0) {
        return n < 0 ? -errno : 0;
    }
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header != NULL && header->cmsg_level == SOL_SOCKET &&
        header->cmsg_type == SCM_RIGHTS) {
        /* Where the table is full, there are fewer than were sent. */
        size_t came = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < came && i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(header) + sizeof(int) * i, sizeof(int));
            fd = above_streams(fd);
            fds[i] = fd >= 0 ? fd : -1;
        }
    }
    return (message.msg_flags & MSG_TRUNC) != 0 ? n + 1 : n;
}
