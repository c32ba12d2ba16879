/* Makes fsync and fdatasync take longer, by the microseconds that the environment says. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

static long microseconds = -1;

static int slow(const char *name, int file) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    if (microseconds < 0) {
        const char *text = getenv("POLYLOG_SLOW_FSYNC_MICROSECONDS");
        microseconds = text ? atol(text) : 0;
    }
    int done = real(file), error = errno;
    struct timespec left = {microseconds / 1000000, microseconds % 1000000 * 1000};
    while (nanosleep(&left, &left) == -1 && errno == EINTR) {
    }
    errno = error;
    return done;
}

int fsync(int file) { return slow("fsync", file); }
int fdatasync(int file) { return slow("fdatasync", file); }
