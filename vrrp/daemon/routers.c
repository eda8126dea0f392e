#include "vrrp/daemon/routers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "conf/conf.h"
#include "daemon/base/text.h"
#include "vrrp/link/router.h"

static struct vrrp_instance instances[VRRP_ROUTERS_MAX];
static struct ipc_router staged[VRRP_ROUTERS_MAX];
static unsigned n_staged; /* may be larger than the array: then there were too many */

void vrrp_routers_stage(const struct ipc_router *config)
{
	if (n_staged < VRRP_ROUTERS_MAX)
		staged[n_staged] = *config;
	n_staged++;
}

static int check_family(const struct ipc_router *r, struct err *err)
{
	sa_family_t family = vrrp_router_family(r);
	bool known = family == AF_INET || (family == AF_INET6 && r->version == VRRP_VERSION);
	for (unsigned i = 0; i < r->n_addresses && known; i++)
		known = r->addresses[i].addr.sa.sa_family == family;
	if (!known)
		return err_set(err, -EAFNOSUPPORT,
		    "%s: addresses are all IPv4, or all IPv6 and VRRPv3", r->name);
	if (r->mode == CONF_VRRP_UNICAST &&
	    (r->local.sa.sa_family != family || r->peer.sa.sa_family != family))
		return err_set(err, -EAFNOSUPPORT,
		    "%s: unicast needs addresses of both nodes of its family", r->name);
	return 0;
}

static int check_one(const struct ipc_router *r, struct err *err)
{
	if (r->name[0] == '\0' || r->interface[0] == '\0' || r->vrid == 0 || r->priority == 0 ||
	    r->n_addresses == 0 || r->n_addresses > IPC_ADDRESSES_MAX || r->min_ttl == 0 ||
	    (r->version != VRRP_VERSION && r->version != VRRP_VERSION_2) ||
	    r->failback > CONF_FAILBACK_WHEN_WARM || r->mode > CONF_VRRP_UNICAST ||
	    r->checksum > CONF_CHECKSUM_RFC5798 || r->authenticate > CONF_AUTHENTICATE_TRUE ||
	    (r->authenticate != CONF_AUTHENTICATE_FALSE && r->auth_keys.n == 0))
		return err_set(err, -EINVAL, "virtual router \"%s\" is incomplete", r->name);
	if (r->advertise_us < 10000 || r->advertise_us > VRRP_INTERVAL_CS_MAX * 10000U)
		return err_set(err, -EINVAL, "%s: interval of %u us is out of range", r->name,
		    r->advertise_us);
	return check_family(r, err);
}

/* By whatever name. */
static bool same_router(const struct ipc_router *a, const struct ipc_router *b)
{
	return a->vrid == b->vrid && vrrp_router_family(a) == vrrp_router_family(b) &&
	       strcmp(a->interface, b->interface) == 0;
}

static int check_staged(struct err *err)
{
	if (n_staged > VRRP_ROUTERS_MAX)
		return err_set(
		    err, -E2BIG, "%u virtual routers, at most %d", n_staged, VRRP_ROUTERS_MAX);
	for (unsigned i = 0; i < n_staged; i++) {
		int rc = check_one(&staged[i], err);
		if (rc)
			return rc;
		for (unsigned j = 0; j < i; j++) {
			if (strcmp(staged[i].name, staged[j].name) == 0 ||
			    same_router(&staged[i], &staged[j]))
				return err_set(err, -EEXIST,
				    "%s and %s are the same virtual router", staged[j].name,
				    staged[i].name);
		}
	}
	return 0;
}

struct vrrp_instance *vrrp_routers_find(const char *name, uint8_t vrid)
{
	struct vrrp_instance *instance = NULL;
	while ((instance = vrrp_routers_next(instance))) {
		if (strcmp(instance->config.name, name) == 0)
			return vrid == 0 || instance->config.vrid == vrid ? instance : NULL;
	}
	return NULL;
}

static struct vrrp_instance *find_free(void)
{
	for (unsigned i = 0; i < VRRP_ROUTERS_MAX; i++) {
		if (!instances[i].used)
			return &instances[i];
	}
	return NULL;
}

/* What becomes of it; NULL: it is removed. One that is new by its name, but not by all else, is an
 * old one under another name. */
static const struct ipc_router *find_staged(const struct ipc_router *config)
{
	const struct ipc_router *renamed = NULL;
	for (unsigned i = 0; i < n_staged; i++) {
		if (strcmp(staged[i].name, config->name) == 0)
			return &staged[i];
		if (same_router(&staged[i], config) && !vrrp_routers_find(staged[i].name, 0))
			renamed = &staged[i];
	}
	return renamed;
}

/* A virtual address, an interface with a virtual MAC, a fence may go from one to another. */
static void make_room(struct vrrp_instance *instance)
{
	const struct ipc_router *next = find_staged(&instance->config);
	if (!next) {
		instance->removed = true;
		vrrp_instance_stop(instance, "removed from the configuration");
		return;
	}
	if (strcmp(next->name, instance->config.name) != 0)
		vrrp_instance_rename(instance, next->name);
	vrrp_instance_make_room(instance, next);
}

int vrrp_routers_apply(
    struct vrrp_station *station, const struct vrrp_fitness *fitness, struct err *err)
{
	int rc = check_staged(err);
	if (rc) {
		n_staged = 0;
		return rc;
	}
	struct vrrp_instance *instance = NULL;
	while ((instance = vrrp_routers_next(instance)))
		make_room(instance);
	for (unsigned i = 0; i < n_staged; i++) {
		instance = vrrp_routers_find(staged[i].name, 0);
		if (instance)
			vrrp_instance_configure(instance, &staged[i], fitness);
		else
			vrrp_instance_start(find_free(), station, &staged[i], fitness);
	}
	n_staged = 0;
	instance = NULL;
	while ((instance = vrrp_routers_next(instance)))
		vrrp_instance_regroup(instance);
	return 0;
}

struct vrrp_instance *vrrp_routers_next(const struct vrrp_instance *after)
{
	for (size_t i = after ? (size_t)(after - instances) + 1 : 0; i < VRRP_ROUTERS_MAX; i++) {
		if (instances[i].used)
			return &instances[i];
	}
	return NULL;
}

struct vrrp_instance *vrrp_routers_mate(
    const struct vrrp_instance *instance, const struct vrrp_instance *after)
{
	struct vrrp_instance *mate = NULL;
	if (instance->config.group[0] == '\0')
		return NULL;
	while ((mate = vrrp_routers_next(after))) {
		if (mate != instance && strcmp(mate->config.group, instance->config.group) == 0)
			break;
		after = mate;
	}
	return mate;
}

void vrrp_routers_set_fitness(const struct vrrp_fitness *fitness)
{
	struct vrrp_instance *instance = NULL;
	while ((instance = vrrp_routers_next(instance)))
		vrrp_instance_set_fitness(instance, fitness);
}

void vrrp_routers_check_links(void)
{
	struct vrrp_instance *instance = NULL;
	while ((instance = vrrp_routers_next(instance)))
		vrrp_instance_check_link(instance);
}

void vrrp_routers_check_paths(void)
{
	struct vrrp_instance *instance = NULL;
	while ((instance = vrrp_routers_next(instance)))
		vrrp_instance_check_path(instance);
}

void vrrp_routers_address_changed(int ifindex, const struct addr *addr, bool added)
{
	struct vrrp_instance *instance = NULL;
	while ((instance = vrrp_routers_next(instance)))
		vrrp_instance_address_changed(instance, ifindex, addr, added);
}

void vrrp_routers_check_guards(void)
{
	struct vrrp_instance *instance = NULL;
	while ((instance = vrrp_routers_next(instance)))
		vrrp_instance_check_guard(instance);
}

bool vrrp_routers_own(const struct vrrp_fence_id *id)
{
	struct vrrp_instance *instance = NULL;
	while ((instance = vrrp_routers_next(instance))) {
		struct vrrp_fence_id own = vrrp_router_fence(&instance->config);
		if (own.family == id->family && own.vrid == id->vrid &&
		    strcmp(own.interface, id->interface) == 0)
			return true;
	}
	return false;
}

void vrrp_routers_tick(void)
{
	struct vrrp_instance *instance = NULL;
	while ((instance = vrrp_routers_next(instance)))
		vrrp_instance_tick(instance);
}

void vrrp_routers_stop(const char *reason)
{
	struct vrrp_instance *instance = NULL;
	char copy[IPC_REASON_MAX];
	text_copy(copy, sizeof(copy), reason);
	/* The peer need not wait for the kernel to take down what the others had. */
	while ((instance = vrrp_routers_next(instance)))
		vrrp_instance_leave(instance, copy);
	while ((instance = vrrp_routers_next(instance)))
		vrrp_instance_stop(instance, copy);
}

int vrrp_routers_resign(const char *name, const char *reason, struct err *err)
{
	struct vrrp_instance *instance = NULL;
	if (name[0]) {
		instance = vrrp_routers_find(name, 0);
		if (!instance)
			return err_set(err, -ENOENT, "there is no virtual router \"%s\"", name);
		int rc = vrrp_instance_resign(instance, reason, err);
		return rc ? rc : err_set(err, 0, "%s resigned", name);
	}
	unsigned resigned = 0;
	char names[IPC_REASON_MAX] = "";
	size_t len = 0;
	while ((instance = vrrp_routers_next(instance))) {
		if (vrrp_instance_resign(instance, reason, NULL))
			continue;
		int n = snprintf(names + len, sizeof(names) - len, "%s%s", resigned ? ", " : "",
		    instance->config.name);
		len = (size_t)n < sizeof(names) - len ? len + (size_t)n : sizeof(names) - 1;
		resigned++;
	}
	if (resigned == 0)
		return err_set(err, -EPERM, "no virtual router is Active here");
	return err_set(err, 0, "%s resigned", names);
}
