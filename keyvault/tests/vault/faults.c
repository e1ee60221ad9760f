/* Faults of a disk, for tests: preloaded into the vault, it lets writes or syncs of regular files fail when it is told to.
 *
 * FAULTS names a file of four numbers (int32): errno to give (0: none; -1: the process dies in the call's place, -2: behind half of
 * what it writes); calls that still succeed; how many fail then (-1: all); calls that failed. The test and the program both map it. Also told to deny memfd_secret (NO_SECRET_MEMORY). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MEMFD_SECRET 447

static volatile int *faults;
static int no_secret_memory;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULTS");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file >= 0) {
        void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        faults = map == MAP_FAILED ? NULL : map;
        close(file);
    }
    no_secret_memory = getenv("NO_SECRET_MEMORY") != NULL;
}

/* At once, with no call that a confined process may not make. */
#define DIE __builtin_trap()

static int fails(int file) {
    struct stat about;
    if (!faults || !faults[0] || fstat(file, &about) || !S_ISREG(about.st_mode))
        return 0;
    if (faults[1] > 0) {
        faults[1]--;
        return 0;
    }
    if (faults[2] == 0)
        return 0;
    if (faults[2] > 0)
        faults[2]--;
    faults[3]++;
    if (faults[0] == -1)
        DIE;
    errno = faults[0] < 0 ? 0 : faults[0];
    return 1;
}

/* Of what is not written in halves. */
static int refused(int file) {
    if (!fails(file))
        return 0;
    if (faults[0] == -2)
        DIE;
    return 1;
}

#define TRUE(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) \
        real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name);

ssize_t write(int file, const void *bytes, size_t length) {
    TRUE(ssize_t, write, int, const void *, size_t)
    if (!fails(file))
        return real(file, bytes, length);
    if (faults[0] == -2) {
        real(file, bytes, length / 2);
        DIE;
    }
    return -1;
}

ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t place) {
    TRUE(ssize_t, pwrite64, int, const void *, size_t, off64_t)
    if (!fails(file))
        return real(file, bytes, length, place);
    if (faults[0] == -2) {
        real(file, bytes, length / 2, place);
        DIE;
    }
    return -1;
}

ssize_t pwrite(int file, const void *bytes, size_t length, off_t place) {
    TRUE(ssize_t, pwrite, int, const void *, size_t, off_t)
    if (!fails(file))
        return real(file, bytes, length, place);
    if (faults[0] == -2) {
        real(file, bytes, length / 2, place);
        DIE;
    }
    return -1;
}

int fsync(int file) {
    TRUE(int, fsync, int)
    return refused(file) ? -1 : real(file);
}

int fdatasync(int file) {
    TRUE(int, fdatasync, int)
    return refused(file) ? -1 : real(file);
}

int ftruncate64(int file, off64_t length) {
    TRUE(int, ftruncate64, int, off64_t)
    return refused(file) ? -1 : real(file, length);
}

int ftruncate(int file, off_t length) {
    TRUE(int, ftruncate, int, off_t)
    return refused(file) ? -1 : real(file, length);
}

long syscall(long number, ...) {
    va_list rest;
    long a[6];
    va_start(rest, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(rest, long);
    va_end(rest);
    if (number == MEMFD_SECRET && no_secret_memory) {
        errno = ENOSYS;
        return -1;
    }
    TRUE(long, syscall, long, ...)
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
