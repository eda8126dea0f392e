/* What the files of a virtual router share: instance.c is its spine, act.c performs, hear.c reads
 * the network, attach.c minds the interface, defend.c the addresses, track.c what else is watched,
 * hold.c and group.c object to a promotion, reconfigure.c goes over to other parameters, stats.c
 * counts. Nobody else includes this. */
#pragma once

#include "vrrp/daemon/instance.h"

enum instance_outcome {
	OUTCOME_SENT,    /* or it will be, soon */
	OUTCOME_FAILED,  /* it cannot be sent, and perhaps never */
	OUTCOME_REFUSED, /* the lease is over, or may not be had */
};

/* ---- act.c ---- */

/* A warning that strangers can cause: limited by its kind. */
void instance_complain(struct vrrp_instance *instance, enum vrrp_complaint kind, const char *fmt,
    ...) __attribute__((format(printf, 3, 4)));
/* The same, and an event. */
void instance_remark(struct vrrp_instance *instance, enum vrrp_complaint kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Something failed: a fault until it is tried again. */
void instance_set_trouble(struct vrrp_instance *instance, uint64_t now_us, const char *text);
void instance_remove_addresses(struct vrrp_instance *instance);
/* Also refreshes. */
void instance_add_addresses(struct vrrp_instance *instance, uint64_t now_us);
/* Gratuitous ARP, as far as it is due. */
void instance_announce(struct vrrp_instance *instance, uint64_t now_us);
/* VRRP_DO_* in the order of the bits. What became of the advert, if there was one; the address
 * comes only when it has left. */
enum instance_outcome instance_perform(
    struct vrrp_instance *instance, unsigned actions, uint64_t now_us);

/* ---- hear.c ---- */

/* Reads what the socket has. */
void instance_drain(struct vrrp_instance *instance);
/* A claim of the peer, which came by `path`. */
void instance_hear_claim(struct vrrp_instance *instance, uint8_t priority, uint8_t flags,
    const struct addr *source, const char *path, uint64_t now_us);

/* ---- defend.c ---- */

/* Watches for others that announce our addresses; again, when those or our MAC have changed. */
void instance_watch(struct vrrp_instance *instance);
void instance_unwatch(struct vrrp_instance *instance);

/* ---- stats.c ---- */

/* What people want to know of a transition, behind its reason: "[priority 130 of 150; heard
 * 192.0.2.11 with 200, 322 ms ago; woke up 80 us late]". Of: as configured, without what is
 * tracked. */
void instance_add_figures(
    const struct vrrp_instance *instance, uint64_t now_us, char *reason, size_t size);
/* Somebody lower yields to us, or still speaks while we do not listen; not one who died then. */
bool instance_preempts(const struct vrrp_instance *instance, uint64_t now_us);
void instance_count_change(
    struct vrrp_instance *instance, enum vrrp_state previous, uint64_t now_us);
/* Awake now, and the timer was due then; nothing if that is to come, or counted. */
void instance_count_lateness(struct vrrp_instance *instance, uint64_t due_us, uint64_t now_us);
void instance_count_advert(struct vrrp_instance *instance, const struct vrrp_advert *advert,
    const struct addr *source, uint64_t now_us);

/* ---- evidence.c ---- */

/* Says by replication what we claim on the wire. */
void instance_say_claim(struct vrrp_instance *instance, uint8_t flags, uint64_t now_us);
/* Asks the peer by replication, if it is said to be Active and its adverts are missing. */
void instance_inquire(struct vrrp_instance *instance, uint64_t now_us);
/* Adverts are heard again, or it is another state: true if they were lost until now. */
bool instance_note_found(struct vrrp_instance *instance, uint64_t now_us);

/* ---- attach.c ---- */

/* At the end: also the virtual MAC goes. */
void instance_detach(struct vrrp_instance *instance);
/* Opens what is missing, says in link_fault what cannot be had. */
void instance_look_at_link(struct vrrp_instance *instance);

/* ---- track.c ---- */

/* "address 192.0.2.1"; another name for each. */
char *instance_tracked_name(const struct ipc_router *config, unsigned i, char *buf, size_t size);
/* The configuration is new, and was `old`: what is known of things in both is kept. */
void instance_track_configure(struct vrrp_instance *instance, const struct ipc_router *old);
/* Asks for the tracked interfaces. */
void instance_track_links(struct vrrp_instance *instance);
/* The Active advertises `priority`: is it so badly off that we must relieve it? */
void instance_judge_rival(struct vrrp_instance *instance, uint8_t priority, uint64_t now_us);

/* ---- hold.c ---- */

/* The link has come up: until something is heard on it, or startup_delay is over, we are deaf. */
void instance_begin_deafness(struct vrrp_instance *instance);
void instance_end_deafness(struct vrrp_instance *instance);
/* Its time has come, but something objects, which is said if it is new. */
bool instance_is_held(struct vrrp_instance *instance, uint64_t now_us);
/* If it is not held any more. */
void instance_forget_hold(struct vrrp_instance *instance);

/* ---- group.c ---- */

/* What is wrong with another one of the group, or NULL. */
const char *instance_group_fault(const struct vrrp_instance *instance, char *buf, size_t size);
/* Another one of the group cannot become Active. */
bool instance_group_objects(
    struct vrrp_instance *instance, uint64_t now_us, char *why, size_t size);
/* If it has ceased to be Active, the others follow. */
void instance_lead_group(struct vrrp_instance *instance);
/* A group that is split for long is made whole. */
void instance_mend_group(struct vrrp_instance *instance, uint64_t now_us);

/* ---- instance.c ---- */

const char *instance_own_fault(const struct vrrp_instance *instance); /* or NULL */
/* Something that others show has changed. */
void instance_tell(struct vrrp_instance *instance);
void instance_adopt_preemption(struct vrrp_instance *instance);

/* Performs what a step of the machine ordered, tells a change, and steps on with the kernel's
 * answer. */
void instance_conclude(struct vrrp_instance *instance, enum vrrp_state previous, unsigned actions,
    const char *reason, uint64_t now_us);
void instance_step(struct vrrp_instance *instance, enum vrrp_event event, const char *reason);
/* Brings the machine in line with what is wrong now, or with nothing being wrong any more. */
void instance_settle(struct vrrp_instance *instance, const char *recovered);
/* First at each wake-up: what is in the queue is older than any timer that wants to fire now. */
void instance_wake(struct vrrp_instance *instance);
/* Last at each wake-up. */
void instance_rearm(struct vrrp_instance *instance);
void instance_adopt_fitness(struct vrrp_instance *instance, const struct vrrp_fitness *fitness);
enum vrrp_checksum instance_first_form(const struct ipc_router *config);
