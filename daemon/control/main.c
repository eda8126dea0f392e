/* yoke-proxy: started by yoked with the message channel on file descriptor 3. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/base/log.h"
#include "daemon/control/control.h"
#include "daemon/sandbox/sandbox.h"

int main(void)
{
	log_init("yoke-proxy", LOG_LEVEL_INFO);
	if (fcntl(IPC_CHILD_FD, F_GETFD) < 0) {
		fprintf(stderr,
		    "yoke-proxy is started by yoked, not by hand: run yoked --config FILE\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN); /* ^C reaches the whole group; yoked decides */
	sandbox_die_with_parent();
	/* Large (queues, events) and as long-lived as the process. */
	static struct control control;
	return control_run(&control);
}
