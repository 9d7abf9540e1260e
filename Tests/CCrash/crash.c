/// Ends or pauses a program at a chosen system call on files.
///
/// Preloaded (LD_PRELOAD), it counts the calls that change what is below a folder: creating, writing,
/// truncating, flushing, renaming, linking and removing. It leaves the environment at once, so that it
/// is in the program alone and not in those that the program starts.
///
///   TUTTI_CRASH_UNDER  the folder
///   TUTTI_CRASH_AT     the number of the call, from 1, that the program does not live to make
///   TUTTI_CRASH_TORN   set: a write leaves half of its bytes before
///   TUTTI_CRASH_LOG    a file that gets a line for each call
///   TUTTI_PAUSE_CALL   such as "fsync": the thread that makes this call for the TUTTI_PAUSE_AT-th
///                      time makes the file TUTTI_PAUSE_FILE, and goes on when that is gone

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char folder[4096], pauseCall[32], pauseFile[4096];
static long crashAt, pauseAt;
static int torn, logFile = -1;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long calls, pauseCalls;

static long number(const char *name) {
  const char *text = getenv(name);
  return text ? atol(text) : 0;
}

static void text(char *target, size_t size, const char *name) {
  const char *value = getenv(name);
  if (value) snprintf(target, size, "%s", value);
}

__attribute__((constructor)) static void begin(void) {
  text(folder, sizeof folder, "TUTTI_CRASH_UNDER");
  text(pauseCall, sizeof pauseCall, "TUTTI_PAUSE_CALL");
  text(pauseFile, sizeof pauseFile, "TUTTI_PAUSE_FILE");
  crashAt = number("TUTTI_CRASH_AT");
  pauseAt = number("TUTTI_PAUSE_AT");
  torn = getenv("TUTTI_CRASH_TORN") != NULL;
  const char *log = getenv("TUTTI_CRASH_LOG");
  if (log) {
    int low = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    // Out of the way of the numbers that the program may expect.
    logFile = fcntl(low, F_DUPFD_CLOEXEC, 512);
    syscall(SYS_close, low);
  }
  unsetenv("LD_PRELOAD");
}

static int isUnder(const char *path) {
  size_t length = strlen(folder);
  return length && strncmp(path, folder, length) == 0 && (path[length] == '/' || !path[length]);
}

static const char *pathOf(int descriptor, char *buffer, size_t size) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, buffer, size - 1);
  buffer[length < 0 ? 0 : length] = 0;
  return buffer;
}

static void pauseHere(void) {
  int file = syscall(SYS_openat, AT_FDCWD, pauseFile, O_WRONLY | O_CREAT, 0600);
  syscall(SYS_close, file);
  while (syscall(SYS_faccessat, AT_FDCWD, pauseFile, F_OK) == 0) usleep(1000);
}

/// Counts a call on `path`; whether the process is to end here. Holds the lock in that case for good.
static int isLast(const char *call, const char *path) {
  if (!isUnder(path)) return 0;
  int reason = errno;
  pthread_mutex_lock(&mutex);
  calls++;
  int pauses = pauseAt && strcmp(call, pauseCall) == 0 && ++pauseCalls == pauseAt;
  if (logFile >= 0) {
    char line[4200];
    int length = snprintf(line, sizeof line, "%ld %s %s\n", calls, call, path);
    syscall(SYS_write, logFile, line, (size_t)length);
  }
  int last = calls == crashAt;
  if (!last) pthread_mutex_unlock(&mutex);
  if (pauses) pauseHere();
  errno = reason;
  return last;
}

static void end(void) {
  syscall(SYS_kill, getpid(), SIGKILL);
  for (;;) pause();
}

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
#define CALL(name, path) \
  REAL(name);            \
  if (isLast(#name, path)) end();
#define PATH char buffer[4096]; const char *path = pathOf(descriptor, buffer, sizeof buffer)

ssize_t write(int descriptor, const void *bytes, size_t count) {
  REAL(write);
  PATH;
  if (isLast("write", path)) {
    if (torn) real(descriptor, bytes, count / 2);
    end();
  }
  return real(descriptor, bytes, count);
}

ssize_t pwrite(int descriptor, const void *bytes, size_t count, off_t offset) {
  REAL(pwrite);
  PATH;
  if (isLast("pwrite", path)) {
    if (torn) real(descriptor, bytes, count / 2, offset);
    end();
  }
  return real(descriptor, bytes, count, offset);
}

int fsync(int descriptor) { PATH; CALL(fsync, path); return real(descriptor); }
int fdatasync(int descriptor) { PATH; CALL(fdatasync, path); return real(descriptor); }
int ftruncate(int descriptor, off_t size) { PATH; CALL(ftruncate, path); return real(descriptor, size); }
int truncate(const char *path, off_t size) { CALL(truncate, path); return real(path, size); }
int rename(const char *old, const char *path) { CALL(rename, path); return real(old, path); }
int link(const char *old, const char *path) { CALL(link, path); return real(old, path); }
int symlink(const char *old, const char *path) { CALL(symlink, path); return real(old, path); }
int unlink(const char *path) { CALL(unlink, path); return real(path); }
int rmdir(const char *path) { CALL(rmdir, path); return real(path); }
int mkdir(const char *path, mode_t mode) { CALL(mkdir, path); return real(path, mode); }

// Opening is a change only if it makes or empties the file.
#define OPEN(name)                                                              \
  int name(const char *path, int flags, ...) {                                  \
    REAL(name);                                                                 \
    va_list rest;                                                               \
    va_start(rest, flags);                                                      \
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;     \
    va_end(rest);                                                               \
    if (flags & (O_CREAT | O_TRUNC) && isLast("open", path)) end();             \
    return real(path, flags, mode);                                             \
  }
OPEN(open)

// The same functions under the names for large files, which some callers are compiled with.
ssize_t pwrite64(int, const void *, size_t, off64_t) __attribute__((alias("pwrite")));
int ftruncate64(int, off64_t) __attribute__((alias("ftruncate")));
int truncate64(const char *, off64_t) __attribute__((alias("truncate")));
int open64(const char *, int, ...) __attribute__((alias("open")));
