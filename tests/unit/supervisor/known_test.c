#include <string.h>

#include "daemon/supervisor/state.h"
#include "tests/unit/unit.h"

/* Two sets with `front`, which the second one has with other addresses and another interval; each
 * has one that the other has not. */
static struct conf_vip old_vips[1], new_vips[1];
static struct conf_router old_routers[] = {
    {.name = "front",
	.interface = "eth0",
	.vrid = 51,
	.advertise_us = 100000,
	.addresses = old_vips,
	.n_addresses = 1},
    {.name = "gone", .interface = "eth0", .vrid = 52, .addresses = old_vips, .n_addresses = 1},
};
static struct conf_router new_routers[] = {
    {.name = "come", .interface = "eth0", .vrid = 53, .addresses = new_vips, .n_addresses = 1},
    {.name = "front",
	.interface = "eth0",
	.vrid = 51,
	.advertise_us = 1000000,
	.addresses = new_vips,
	.n_addresses = 1},
};
static struct conf old_conf = {
    .self = CONF_NONE, .peer = CONF_NONE, .routers = old_routers, .n_routers = 2};
static struct conf new_conf = {
    .self = CONF_NONE, .peer = CONF_NONE, .routers = new_routers, .n_routers = 2};
static const struct setup old_setup = {.conf = &old_conf}, new_setup = {.conf = &new_conf};

static struct supervisor sup;

static void send_set(const struct setup *setup)
{
	for (uint32_t i = 0; i < setup->conf->n_routers; i++) {
		union ipc_message msg;
		known_router_message(&sup, setup, i, &msg);
		known_add(&sup, &msg.router);
	}
}

static struct known_router *front(void)
{
	return known_find(&sup, "front", "eth0", 51);
}

/* `old` is in force, front is Active and has told its marks; then `new` is sent. */
static void begin(void)
{
	memset(&sup, 0, sizeof(sup));
	CU_ASSERT_TRUE_FATAL(addr_parse_ip("192.0.2.10", &old_vips[0].addr));
	CU_ASSERT_TRUE_FATAL(addr_parse_ip("192.0.2.20", &new_vips[0].addr));
	send_set(&old_setup);
	known_settle(&sup, &old_setup);
	CU_ASSERT_EQUAL_FATAL(sup.n_routers, 2);
	front()->active = true;
	front()->router.auth_marks[0] = (struct ipc_auth_mark){7, 8, 9};
	known_remember_marks(&sup, &front()->router);
	send_set(&new_setup);
	CU_ASSERT_EQUAL_FATAL(sup.n_routers, 3);
}

static void check(const struct setup *setup, const struct addr *vip, uint32_t advertise_us)
{
	known_settle(&sup, setup);
	CU_ASSERT_EQUAL(sup.n_routers, 2);
	CU_ASSERT_PTR_NOT_NULL_FATAL(front());
	CU_ASSERT_TRUE(front()->active);
	CU_ASSERT_TRUE(addr_equal_ip(&front()->router.addresses[0].addr, vip));
	CU_ASSERT_EQUAL(front()->router.advertise_us, advertise_us);
	CU_ASSERT_EQUAL(front()->router.auth_marks[0].sent, 7);
}

static void what_is_applied_is_known(void)
{
	begin();
	check(&new_setup, &new_vips[0].addr, 1000000);
	CU_ASSERT_PTR_NULL(known_find(&sup, "gone", "eth0", 52));
	CU_ASSERT_PTR_NOT_NULL(known_find(&sup, "come", "eth0", 53));
}

static void what_was_refused_is_forgotten(void)
{
	begin();
	check(&old_setup, &old_vips[0].addr, 100000);
	CU_ASSERT_PTR_NOT_NULL(known_find(&sup, "gone", "eth0", 52));
	CU_ASSERT_PTR_NULL(known_find(&sup, "come", "eth0", 53));
}

static void marks_outlive_the_process(void)
{
	union ipc_message msg;
	begin();
	sup.n_routers = 0;
	known_router_message(&sup, &old_setup, 0, &msg);
	CU_ASSERT_EQUAL(msg.router.auth_marks[0].heard, 8);
	known_router_message(&sup, &old_setup, 1, &msg);
	CU_ASSERT_EQUAL(msg.router.auth_marks[0].heard, 0);
}

UNIT_MAIN("supervisor/known", UNIT(what_is_applied_is_known), UNIT(what_was_refused_is_forgotten),
    UNIT(marks_outlive_the_process))
