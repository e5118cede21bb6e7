/* What looking through views costs beside reading, in time of the CPU, for large files
 * that are in the page cache: as the children of a call do it, without a call. It
 * says why csrc/digest/file.c has views of 2 MiB. benchmarks/views.sh builds it, makes
 * the files and runs it.
 *
 *   views NAME...   files of 64 MiB */
#include "base/sha256_choice.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum { MIB = 1 << 20, SIZE = 64 * MIB, READ = 64 << 10, ROUNDS = 5 };

struct way {
    const char *name;
    size_t size;
    int populate;
};

static const struct way ways[] = {
    {"reads of 64 KiB", READ, 0},
    {"views of 1 MiB, mapped in advance", MIB, MAP_POPULATE},
    {"views of 2 MiB, mapped as they are looked at", 2 * MIB, 0},
};

static struct sha256_kernel kernel;
static unsigned char *places; /* 2 MiB each, at a multiple of that */
static unsigned char buffers[LANES_MOST][READ];

static double
cpu_seconds(void)
{
    struct rusage used;
    (void)getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
}

static const unsigned char *
piece_of(const struct way *way, int fd, uint32_t lane, size_t from)
{
    if (way->size == READ) {
        return read(fd, buffers[lane], READ) == READ ? buffers[lane] : NULL;
    }
    void *view = mmap(places + (size_t)lane * 2 * MIB, way->size, PROT_READ,
                      MAP_SHARED | MAP_FIXED | way->populate, fd, (off_t)from);
    return view != MAP_FAILED ? view : NULL;
}

static void
digest(const struct way *way, char *const names[], uint32_t count)
{
    struct sha256_state states[LANES_MOST], *state[LANES_MOST];
    const unsigned char *data[LANES_MOST];
    int fds[LANES_MOST];
    for (uint32_t i = 0; i < count; i++) {
        fds[i] = open(names[i], O_RDONLY | O_CLOEXEC);
        states[i] = sha256_start;
        state[i] = &states[i];
    }
    for (size_t from = 0; from < SIZE; from += way->size) {
        for (uint32_t i = 0; i < count; i++) {
            data[i] = piece_of(way, fds[i], i, from);
            if (data[i] == NULL) {
                perror(names[i]);
                exit(1);
            }
        }
        sha256_go_on(&kernel, state, data, count, way->size / SHA256_BLOCK);
    }
    for (uint32_t i = 0; i < count; i++) {
        (void)close(fds[i]);
    }
}

int
main(int count, char **arguments)
{
    const uint32_t files = (uint32_t)count - 1;
    (void)sha256_choose(&kernel, "", LANES_MOST);
    char *found = mmap(NULL, (size_t)(LANES_MOST + 1) * 2 * MIB, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    places = (unsigned char *)found + (-(uintptr_t)found & (2 * MIB - 1));
    double best[sizeof(ways) / sizeof(*ways)] = {0};
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
            double before = cpu_seconds();
            for (uint32_t from = 0; from < files; from += kernel.lanes) {
                uint32_t left = files - from;
                digest(&ways[i], arguments + 1 + from,
                       left < kernel.lanes ? left : kernel.lanes);
            }
            double rate = (double)files * SIZE / (cpu_seconds() - before);
            best[i] = rate > best[i] ? rate : best[i];
        }
    }
    for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
        printf("  %-46s %.2f GB/s\n", ways[i].name, best[i] / 1e9);
    }
    return 0;
}
