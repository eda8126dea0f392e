/* Threads of a process whose first thread takes the signals. */
#pragma once

#include <pthread.h>

/* pthread_create, with signals blocked but for those that tell of a fault of the thread itself
 * (SIGSEGV and the like), whose handlers must see them: sanitizers have some. SIGPIPE is blocked,
 * too. 0 or -errno. */
int thread_start(pthread_t *thread, void *(*run)(void *), void *arg);
