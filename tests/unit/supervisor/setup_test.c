#include "daemon/supervisor/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/scratch.h"
#include "tests/unit/unit.h"

static char dir[SCRATCH_MAX];
static char config_path[64], token_path[64], key_path[64];
static char report_text[4096];

static void collect(void *arg, const char *line)
{
	(void)arg;
	size_t len = strlen(report_text);
	snprintf(report_text + len, sizeof(report_text) - len, "%s\n", line);
}

static void write_file(const char *path, const char *text, mode_t mode)
{
	unlink(path);
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	CU_ASSERT_EQUAL(fchmod(fd, mode), 0);
	close(fd);
}

static void prepare(void)
{
	static bool made;
	if (!made)
		CU_ASSERT_TRUE_FATAL(scratch_make(dir));
	made = true;
	snprintf(config_path, sizeof(config_path), "%s/yoke.json", dir);
	snprintf(token_path, sizeof(token_path), "%s/token", dir);
	snprintf(key_path, sizeof(key_path), "%s/key", dir);
	report_text[0] = '\0';
}

static int load(const char *config, struct setup **out)
{
	write_file(config_path, config, 0644);
	return setup_load(config_path, NULL, collect, NULL, out);
}

#define LISTENERS_AND_POOLS                                                             \
	"\"listeners\": {\"web\": {\"bind\": \"127.0.0.1:18080\", \"mode\": \"http\", " \
	"\"pool\": \"web\"}}, \"pools\": {\"web\": {\"targets\": [\"127.0.0.1:18081\"]}}"

static void a_single_balancer(void)
{
	struct setup *setup = NULL;
	union ipc_message msg;
	char text[256] = "", config[] = "{" LISTENERS_AND_POOLS "} // end";
	prepare();
	CU_ASSERT_EQUAL_FATAL(load(config, &setup), 0);
	CU_ASSERT_STRING_EQUAL(report_text, "");
	CU_ASSERT_STRING_EQUAL(setup->node, "");
	CU_ASSERT_FALSE(setup->keys.n > 0 || setup->has_token);
	CU_ASSERT_STRING_EQUAL(
	    setup_summary(setup, text, sizeof(text)), "1 listener, 1 pool, 0 virtual routers");

	/* the text goes to the child unchanged, and nobody can change it */
	memset(text, 0, sizeof(text));
	CU_ASSERT_EQUAL(pread(setup->text_fd, text, sizeof(text) - 1, 0), (ssize_t)strlen(config));
	CU_ASSERT_STRING_EQUAL(text, config);
	CU_ASSERT_EQUAL(pwrite(setup->text_fd, "x", 1, 0), -1);
	CU_ASSERT_EQUAL(ftruncate(setup->text_fd, 1), -1);

	setup_config_message(setup, 7, 3, &msg);
	CU_ASSERT_EQUAL(msg.config.generation, 7);
	CU_ASSERT_EQUAL(msg.config.workers, 3);
	CU_ASSERT_FALSE(msg.config.keys.n > 0 || msg.config.has_token);
	CU_ASSERT_STRING_EQUAL(msg.config.file, config_path);
	CU_ASSERT_EQUAL(msg.config.unprivileged, geteuid() != 0);
	CU_ASSERT_EQUAL(msg.config.user[0] != '\0', geteuid() == 0);
	setup_free(setup);
}

static void errors_leave_nothing(void)
{
	struct setup *setup = NULL;
	prepare();
	CU_ASSERT_EQUAL(load("{\"listners\": {}}", &setup), -EINVAL);
	CU_ASSERT_PTR_NULL(setup);
	CU_ASSERT_PTR_NOT_NULL(strstr(report_text, config_path));
	prepare();
	unlink(config_path);
	CU_ASSERT_EQUAL(setup_load(config_path, NULL, collect, NULL, &setup), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(report_text, "No such file"));
	prepare();
	CU_ASSERT_EQUAL(mkfifo(config_path, 0600), 0); /* must not hang */
	CU_ASSERT_EQUAL(setup_load(config_path, NULL, collect, NULL, &setup), -EINVAL);
	CU_ASSERT_EQUAL(setup_check(config_path, NULL, collect, NULL), -EINVAL);
	CU_ASSERT_PTR_NULL(setup);
}

static void the_token_is_read_and_judged(void)
{
	static const struct {
		const char *text;
		mode_t mode;
		int rc;
	} cases[] = {
	    {"s3cret-token\n", 0600, 0},
	    {"s3cret-token", 0640, 0},
	    {"s3cret-token\n", 0644, -EPERM},
	    {"\n", 0600, -EINVAL},
	    {"two words\n", 0600, -EINVAL},
	    {"two\nlines\n", 0600, -EINVAL},
	};
	char config[512], too_long[IPC_TOKEN_MAX + 8];
	prepare();
	snprintf(config, sizeof(config),
	    "{" LISTENERS_AND_POOLS ", \"admin\": {\"token_file\": \"%s\"}}", token_path);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct setup *setup = NULL;
		write_file(token_path, cases[i].text, cases[i].mode);
		int rc = load(config, &setup);
		CU_ASSERT_EQUAL(rc, cases[i].rc);
		if (!rc) {
			CU_ASSERT_TRUE(setup->has_token);
			CU_ASSERT_STRING_EQUAL(setup->token, "s3cret-token");
			setup_free(setup);
		}
	}
	struct setup *setup = NULL;
	memset(too_long, 'x', sizeof(too_long) - 1);
	too_long[sizeof(too_long) - 1] = '\0';
	write_file(token_path, too_long, 0600);
	CU_ASSERT_EQUAL(load(config, &setup), -EINVAL);
	too_long[IPC_TOKEN_MAX - 1] = '\0'; /* the longest one */
	write_file(token_path, too_long, 0600);
	CU_ASSERT_EQUAL_FATAL(load(config, &setup), 0);
	CU_ASSERT_EQUAL(strlen(setup->token), IPC_TOKEN_MAX - 1);
	setup_free(setup);
}

static const char pair_format[] =
    "{\"nodes\": {\"a\": {\"address\": \"127.0.0.1\", \"priority\": 200},"
    " \"b\": {\"address\": \"192.0.2.12\", \"priority\": 150}},"
    " \"virtual_routers\": {\"front\": {\"vrid\": 51, \"interface\": \"lo\","
    " \"addresses\": [\"192.0.2.10/24\"], \"advertise\": \"100ms\"}},"
    " \"sync\": {\"key_file\": \"%s\"}, " LISTENERS_AND_POOLS "}";

static void a_pair_needs_its_key(void)
{
	struct setup *setup = NULL;
	union ipc_message msg;
	char config[1024];
	prepare();
	snprintf(config, sizeof(config), pair_format, key_path);
	unlink(key_path);
	CU_ASSERT_TRUE(load(config, &setup) < 0);
	CU_ASSERT_PTR_NULL(setup);
	CU_ASSERT_PTR_NOT_NULL(strstr(report_text, key_path));
	if (geteuid() != 0) {
		CU_ASSERT_PTR_NOT_NULL(strstr(report_text, "virtual_routers"));
		return;
	}
	prepare();
	write_file(key_path,
	    "# new\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n# old\n"
	    "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=\n",
	    0600);
	CU_ASSERT_EQUAL_FATAL(load(config, &setup), 0);
	CU_ASSERT_STRING_EQUAL(setup->node, "a");
	CU_ASSERT_EQUAL(setup->keys.n, 2);
	setup_config_message(setup, 1, 1, &msg);
	CU_ASSERT_EQUAL(msg.config.keys.n, 2);
	CU_ASSERT_EQUAL(msg.config.keys.of[0][31], 31);
	CU_ASSERT_EQUAL(msg.config.keys.of[1][31], 63);

	char text[ADDR_TEXT_MAX];
	setup_router_message(setup, 0, &msg);
	const struct ipc_router *router = &msg.router;
	CU_ASSERT_EQUAL(msg.header.type, IPC_ROUTER);
	CU_ASSERT_STRING_EQUAL(router->name, "front");
	CU_ASSERT_EQUAL(router->auth_keys.n, 2);
	CU_ASSERT_NOT_EQUAL(memcmp(router->auth_keys.of[0], router->auth_keys.of[1], KEY_LEN), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(router->auth_keys.of[0], setup->keys.of[0], KEY_LEN), 0);
	CU_ASSERT_STRING_EQUAL(router->interface, "lo");
	CU_ASSERT_EQUAL(router->vrid, 51);
	CU_ASSERT_EQUAL(router->priority, 200);
	CU_ASSERT_EQUAL(router->advertise_us, 100000);
	CU_ASSERT_EQUAL(router->failback, CONF_FAILBACK_MANUAL);
	CU_ASSERT_EQUAL(router->n_addresses, 1);
	CU_ASSERT_EQUAL(router->addresses[0].prefix, 24);
	CU_ASSERT_STRING_EQUAL(addr_format_ip(&router->addresses[0].addr, text), "192.0.2.10");
	CU_ASSERT_STRING_EQUAL(addr_format_ip(&router->local, text), "127.0.0.1");
	CU_ASSERT_STRING_EQUAL(addr_format_ip(&router->peer, text), "192.0.2.12");
	setup_free(setup);
}

static void a_router_message_has_all_that_is_tracked(void)
{
	struct conf_pool pools[] = {
	    {.name = "web", .health = {.interval_us = 200, .timeout_us = 100, .fall = 3}}};
	struct conf_node nodes[] = {{.name = "a", .priority = 150}, {.name = "b", .priority = 200}};
	const char *command[] = {"/bin/true", "x"};
	struct conf_router router = {
	    .name = "front",
	    .interface = "eth0",
	    .group = "g",
	    .startup_delay_us = 3000000,
	    .announce = {.interval_us = 1000, .refresh_us = 60000000},
	    .track = {.interfaces = &(struct conf_track_interface){"eth1", 20},
		.pools = &(struct conf_track_pool){0, 50, 0},
		.addresses =
		    &(struct conf_track_address){
			.interval_us = 500, .timeout_us = 200, .rise = 2, .fall = 4, .weight = 30},
		.scripts = &(struct conf_track_script){.command = command,
		    .n_command = 2,
		    .interval_us = 9,
		    .timeout_us = 8,
		    .rise = 7,
		    .fall = 6,
		    .weight = 5},
		.n_interfaces = 1,
		.n_pools = 1,
		.n_addresses = 1,
		.n_scripts = 1},
	};
	struct conf conf = {.nodes = nodes,
	    .n_nodes = 2,
	    .self = 0,
	    .peer = 1,
	    .routers = &router,
	    .n_routers = 1,
	    .pools = pools,
	    .n_pools = 1};
	union ipc_message msg;
	CU_ASSERT(addr_parse_ip("192.0.2.1", &router.track.addresses[0].address));
	CU_ASSERT(addr_parse_ip("192.0.2.254", &router.track.witness));
	setup_router_message(&(struct setup){.conf = &conf}, 0, &msg);
	const struct ipc_router *to = &msg.router;
	CU_ASSERT_STRING_EQUAL(to->group, "g");
	CU_ASSERT_EQUAL(to->startup_delay_us, 3000000);
	CU_ASSERT_EQUAL(to->announce_interval_us, 1000);
	CU_ASSERT_EQUAL(to->announce_refresh_us, 60000000);
	CU_ASSERT_EQUAL(to->peer_priority, 200);
	CU_ASSERT(addr_equal_ip(&to->witness, &router.track.witness));
	CU_ASSERT_EQUAL_FATAL(to->n_tracked, 4);
	static const struct ipc_tracked expected[] = {
	    {.kind = IPC_TRACKED_INTERFACE, .weight = 20, .name = "eth1"},
	    {.kind = IPC_TRACKED_POOL,
		.at_least = 50,
		.interval_us = 600,
		.timeout_us = 100,
		.rise = 1,
		.fall = 1,
		.name = "web"},
	    {.kind = IPC_TRACKED_ADDRESS,
		.weight = 30,
		.interval_us = 500,
		.timeout_us = 200,
		.rise = 2,
		.fall = 4},
	    {.kind = IPC_TRACKED_SCRIPT,
		.weight = 5,
		.interval_us = 9,
		.timeout_us = 8,
		.rise = 7,
		.fall = 6,
		.name = "/bin/true"},
	};
	for (unsigned i = 0; i < to->n_tracked; i++) {
		const struct ipc_tracked *got = &to->tracked[i], *want = &expected[i];
		CU_ASSERT_EQUAL(got->kind, want->kind);
		CU_ASSERT_EQUAL(got->weight, want->weight);
		CU_ASSERT_EQUAL(got->at_least, want->at_least);
		CU_ASSERT_EQUAL(got->interval_us, want->interval_us);
		CU_ASSERT_EQUAL(got->timeout_us, want->timeout_us);
		CU_ASSERT_EQUAL(got->rise, want->rise);
		CU_ASSERT_EQUAL(got->fall, want->fall);
		CU_ASSERT_STRING_EQUAL(got->name, want->name);
	}
	CU_ASSERT(addr_equal_ip(&to->tracked[2].address, &router.track.addresses[0].address));
}

static void differences_are_counted(void)
{
	struct conf_listener la[] = {{.name = "web"}, {.name = "sql"}};
	struct conf_listener lb[] = {{.name = "sql"}, {.name = "mail"}, {.name = "dns"}};
	struct conf_pool pa[] = {{.name = "x"}};
	struct conf a = {.listeners = la, .n_listeners = 2, .pools = pa, .n_pools = 1};
	struct conf b = {.listeners = lb, .n_listeners = 3};
	struct setup from = {.conf = &a}, to = {.conf = &b};
	char text[256];
	CU_ASSERT_STRING_EQUAL(setup_difference(&from, &to, text, sizeof(text)),
	    "3 listeners (+2 -1), 0 pools (+0 -1), 0 virtual routers (+0 -0)");
	CU_ASSERT_STRING_EQUAL(setup_difference(&from, &from, text, sizeof(text)),
	    "2 listeners (+0 -0), 1 pool (+0 -0), 0 virtual routers (+0 -0)");
}

static void check_reads_the_file_only(void)
{
	char config[1024];
	prepare();
	snprintf(config, sizeof(config), pair_format, "/nonexistent/key");
	write_file(config_path, config, 0644);
	CU_ASSERT_EQUAL(setup_check(config_path, NULL, collect, NULL), 0);
	CU_ASSERT_EQUAL(setup_check(config_path, "b", collect, NULL), 0);
	CU_ASSERT_STRING_EQUAL(report_text, "");
	CU_ASSERT_TRUE(setup_check(config_path, "c", collect, NULL) < 0);
	CU_ASSERT_STRING_NOT_EQUAL(report_text, "");
}

/* Their contents are the proxy's to judge; who may read and write them is ours. */
static void certificates_go_behind_the_text(void)
{
	static const char *const names[] = {"node.pem", "node.key", "ca.pem"};
	static const char *const texts[] = {"certificate\n", "private\n", "authorities\n"};
	char paths[3][64], config[1024], text[2048] = "", wanted[2048];
	struct setup *setup = NULL;
	union ipc_message msg;
	prepare();
	if (geteuid() != 0) {
		printf("not root, skipped ... ");
		return;
	}
	for (int i = 0; i < 3; i++) {
		snprintf(paths[i], sizeof(paths[i]), "%s/%s", dir, names[i]);
		write_file(paths[i], texts[i], i == 1 ? 0600 : 0644);
	}
	snprintf(config, sizeof(config),
	    "{\"nodes\": {\"a\": {\"address\": \"127.0.0.1\"}, \"b\": {\"address\": "
	    "\"192.0.2.12\"}}, \"sync\": {\"certificate\": \"%s\", \"private_key\": \"%s\", "
	    "\"ca\": \"%s\"}, " LISTENERS_AND_POOLS "}",
	    paths[0], paths[1], paths[2]);
	CU_ASSERT_EQUAL_FATAL(load(config, &setup), 0);
	snprintf(wanted, sizeof(wanted), "%s%s%s%s", config, texts[0], texts[1], texts[2]);
	CU_ASSERT_EQUAL(pread(setup->text_fd, text, sizeof(text) - 1, 0), (ssize_t)strlen(wanted));
	CU_ASSERT_STRING_EQUAL(text, wanted);
	CU_ASSERT_EQUAL(pwrite(setup->text_fd, "x", 1, 0), -1);
	setup_config_message(setup, 1, 1, &msg);
	CU_ASSERT_TRUE(msg.config.pair);
	CU_ASSERT_EQUAL(msg.config.keys.n, 0);
	CU_ASSERT_EQUAL(msg.config.text_len, strlen(config));
	CU_ASSERT_EQUAL(msg.config.certificate_len, strlen(texts[0]));
	CU_ASSERT_EQUAL(msg.config.private_key_len, strlen(texts[1]));
	CU_ASSERT_EQUAL(msg.config.ca_len, strlen(texts[2]));
	setup_free(setup);

	/* All that is wrong is told at once. */
	unlink(paths[0]);
	CU_ASSERT_EQUAL(chmod(paths[1], 0640), 0);
	CU_ASSERT_EQUAL(chmod(paths[2], 0666), 0);
	CU_ASSERT_TRUE(load(config, &setup) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(report_text, "sync.certificate: "));
	CU_ASSERT_PTR_NOT_NULL(strstr(report_text, "others may read or write it (mode 0640)"));
	CU_ASSERT_PTR_NOT_NULL(strstr(report_text, "others may write it (mode 0666); chmod go-w"));
	for (int i = 0; i < 3; i++)
		unlink(paths[i]);
}

static void clean_up(void)
{
	unlink(config_path);
	unlink(token_path);
	unlink(key_path);
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

UNIT_MAIN("supervisor/setup", UNIT(a_single_balancer), UNIT(errors_leave_nothing),
    UNIT(the_token_is_read_and_judged), UNIT(a_pair_needs_its_key),
    UNIT(certificates_go_behind_the_text), UNIT(a_router_message_has_all_that_is_tracked),
    UNIT(differences_are_counted), UNIT(check_reads_the_file_only), UNIT(clean_up))
