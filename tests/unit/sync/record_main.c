/* Writes down what the two nodes say in the conversation: DIRECTORY/alpha.tape and beta.tape. */
#include <stdio.h>

#include "tests/unit/sync/conversation.h"

int main(int argc, char **argv)
{
	struct conversation conversation = {.recorded = -1};
	if (argc != 2) {
		fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
		return 2;
	}
	for (int i = 0; i < 2; i++) {
		char path[4096];
		snprintf(path, sizeof(path), "%s/%s.tape", argv[1], i == 0 ? "alpha" : "beta");
		conversation.tape[i] = fopen(path, "wb");
		if (!conversation.tape[i]) {
			perror(path);
			return 1;
		}
	}
	bool ok = conversation_run(&conversation);
	for (int i = 0; i < 2; i++)
		ok &= fclose(conversation.tape[i]) == 0;
	return ok ? 0 : 1;
}
