#include <string.h>

#include "tests/unit/unit.h"
#include "vrrp/core/fence.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct addr ip(const char *text)
{
	struct addr addr;
	CU_ASSERT_TRUE_FATAL(addr_parse_ip(text, &addr));
	return addr;
}

static const char golden[] =
    "add table netdev yoke_vrrp_51_eth0\n"
    "delete table netdev yoke_vrrp_51_eth0\n"
    "table netdev yoke_vrrp_51_eth0 {\n"
    "\tset lease { type iface_type; size 256; flags dynamic,timeout; }\n"
    "\tset permit { type iface_type; size 256; flags dynamic,timeout; }\n"
    "\tset peer { type iface_type; size 256; flags dynamic,timeout; }\n"
    "\tset claim { type iface_type; size 256; flags dynamic,timeout; }\n"
    "\tchain advert {\n"
    "\t\tmeta oiftype @lease update @lease { meta oiftype timeout 194ms } accept\n"
    "\t\tmeta oiftype @permit meta oiftype != @peer meta oiftype != @claim"
    " update @lease { meta oiftype timeout 194ms } accept\n"
    "\t\tdrop\n"
    "\t}\n"
    "\tchain release {\n"
    "\t\tdelete @permit { meta oiftype }\n"
    "\t\tdelete @lease { meta oiftype }\n"
    "\t}\n"
    "\tchain permit {\n"
    "\t\tupdate @permit { meta oiftype timeout 18ms }\n"
    "\t}\n"
    "\tchain override {\n"
    "\t\tdelete @peer { meta oiftype }\n"
    "\t\tgoto permit\n"
    "\t}\n"
    "\tchain vrrp_out {\n"
    "\t\t@th,0,8 0x31 @th,16,8 0 goto release\n"
    "\t\t@th,0,8 0x31 goto advert\n"
    "\t\t@th,0,8 0x3e @th,32,8 & 0x20 == 0x20 goto override\n"
    "\t\t@th,0,8 0x3e goto permit\n"
    "\t}\n"
    "\tchain token {\n"
    "\t\t@nh,48,8 vmap { 0 : goto advert, 1 : goto release, 2 : goto permit,"
    " 3 : goto override }\n"
    "\t}\n"
    "\tchain vrrp_in {\n"
    "\t\t@th,0,8 0x31 @th,16,8 0 delete @peer { meta iiftype }\n"
    "\t\t@th,0,8 0x31 @th,16,8 != 0 update @peer { meta iiftype timeout 290ms }\n"
    "\t\t@th,0,8 0x3e update @claim { meta iiftype timeout 28ms }\n"
    "\t}\n"
    "\tchain ingress {\n"
    "\t\ttype filter hook ingress devices = { \"eth0\" } priority -300; policy accept;\n"
    "\t\tip daddr { 192.0.2.10, 192.0.2.13 } meta iiftype != @lease drop\n"
    "\t\tarp operation request arp daddr ip { 192.0.2.10, 192.0.2.13 }"
    " arp saddr ip != { 192.0.2.10, 192.0.2.13 } meta iiftype != @lease drop\n"
    "\t\tip protocol 112 @th,8,8 51 ip ttl >= 255 ip saddr != 192.0.2.11 goto vrrp_in\n"
    "\t}\n"
    "\tchain egress {\n"
    "\t\ttype filter hook egress devices = { \"eth0\" } priority -300; policy accept;\n"
    "\t\tip protocol 112 @th,8,8 51 goto vrrp_out\n"
    "\t\tarp saddr ip { 192.0.2.10, 192.0.2.13 } meta oiftype != @lease drop\n"
    "\t\tether type 0x88b5 @nh,0,32 0x796f6b65 @nh,32,16 0x0433 goto token\n"
    "\t}\n"
    "}\n"
    "add table arp yoke_vrrp_51_eth0\n"
    "delete table arp yoke_vrrp_51_eth0\n"
    "table arp yoke_vrrp_51_eth0 {\n"
    "\tchain input {\n"
    "\t\ttype filter hook input priority -300; policy accept;\n"
    "\t\tiifname != \"eth0\" arp operation request arp daddr ip { 192.0.2.10, 192.0.2.13 } drop\n"
    "\t}\n"
    "}\n";

static struct addr source, addresses[17];

static struct vrrp_fence example(void)
{
	source = ip("192.0.2.11");
	addresses[0] = ip("192.0.2.10");
	addresses[1] = ip("192.0.2.13");
	return (struct vrrp_fence){.id = {AF_INET, 51, "eth0"},
	    .version = 3,
	    .ttl_min = 255,
	    .n_addresses = 2,
	    .addresses = addresses,
	    .source = &source,
	    .interval_us = 100000,
	    .active_interval_us = 100000};
}

static void golden_rules_are_written(void)
{
	char text[VRRP_FENCE_TEXT_MAX];
	struct vrrp_fence fence = example();
	int len = vrrp_fence_text(&fence, VRRP_FENCE_FRESH, text, NULL);
	CU_ASSERT_EQUAL(len, sizeof(golden) - 1);
	if (strcmp(text, golden) != 0)
		printf("\n%s", text);
	CU_ASSERT_STRING_EQUAL(text, golden);
}

/* No "delete": the sets and what is in them stay. */
static void a_change_keeps_the_sets(void)
{
	char text[VRRP_FENCE_TEXT_MAX];
	struct vrrp_fence fence = example();
	CU_ASSERT(vrrp_fence_text(&fence, VRRP_FENCE_CHANGE, text, NULL) > 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\nflush table netdev yoke_vrrp_51_eth0\n"
					    "delete chain netdev yoke_vrrp_51_eth0 ingress\n"
					    "delete chain netdev yoke_vrrp_51_eth0 egress\n"));
	CU_ASSERT_PTR_NULL(strstr(text, "delete table netdev"));
	CU_ASSERT_PTR_NULL(strstr(text, "flush set"));
}

static void it_stands_on_the_way_of_the_adverts_too(void)
{
	char text[VRRP_FENCE_TEXT_MAX];
	struct vrrp_fence fence = example();
	fence.advert_path = "eth1";
	CU_ASSERT(vrrp_fence_text(&fence, VRRP_FENCE_FRESH, text, NULL) > 0);
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(text, "hook ingress devices = { \"eth0\", \"eth1\" } priority"));
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(text, "hook egress devices = { \"eth0\", \"eth1\" } priority"));
}

/* As many addresses as a message carries between our processes, the longest ones. */
static void sixteen_addresses_fit(void)
{
	char text[VRRP_FENCE_TEXT_MAX];
	struct vrrp_fence fence = example();
	for (size_t i = 0; i < 16; i++)
		addresses[i] = ip("2001:db8:1111:2222:3333:4444:5555:6666");
	source = ip("2001:db8:1111:2222:3333:4444:5555:7777");
	fence.n_addresses = 16;
	fence.id = (struct vrrp_fence_id){AF_INET6, 255, "abcdefghijklmno"};
	fence.advert_path = fence.id.interface;
	fence.interval_us = fence.active_interval_us = 40950000;
	int len = vrrp_fence_text(&fence, VRRP_FENCE_FRESH, text, NULL);
	CU_ASSERT(len > 0 && (size_t)len == strlen(text));
}

static void names_that_nftables_cannot_write_are_refused(void)
{
	static const char *const bad[] = {
	    "", "eth*", "a\"b", "a b", "a{", "a;b", "\xc3\xa9", "a\\b", "x\ny", "abcdefghijklmnop"};
	static const char *const good[] = {"eth0", "eth0.100", "br-lan", "enp3s0_1"};
	char name[VRRP_FENCE_NAME_MAX], text[VRRP_FENCE_TEXT_MAX];
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct err err = {""};
		struct vrrp_fence fence = example();
		fence.id.interface = bad[i];
		CU_ASSERT(vrrp_fence_name(&fence.id, name, &err) < 0);
		CU_ASSERT(err.text[0] != '\0');
		CU_ASSERT(vrrp_fence_text(&fence, VRRP_FENCE_FRESH, text, NULL) < 0);
		fence = example();
		fence.advert_path = bad[i];
		if (strlen(bad[i]) < 16)
			CU_ASSERT(vrrp_fence_text(&fence, VRRP_FENCE_FRESH, text, NULL) < 0);
	}
	for (size_t i = 0; i < COUNT(good); i++) {
		struct vrrp_fence_id id = {AF_INET, 255, good[i]};
		CU_ASSERT_EQUAL(vrrp_fence_name(&id, name, NULL), 0);
	}
}

/* One VRID on one interface is two virtual routers, if they are of two families. */
static void families_have_tables_of_their_own(void)
{
	char name[VRRP_FENCE_NAME_MAX];
	struct vrrp_fence_id id = {AF_INET, 6, "51_eth0"};
	CU_ASSERT_EQUAL(vrrp_fence_name(&id, name, NULL), 0);
	CU_ASSERT_STRING_EQUAL(name, "yoke_vrrp_6_51_eth0");
	id = (struct vrrp_fence_id){AF_INET6, 51, "eth0"};
	CU_ASSERT_EQUAL(vrrp_fence_name(&id, name, NULL), 0);
	CU_ASSERT_STRING_EQUAL(name, "yoke_vrrp_v6_51_eth0");
}

static void names_of_tables_are_read(void)
{
	static const char *const foreign[] = {"", "yoke_vrrp_", "yoke_vrrp_51", "yoke_vrrp_51_",
	    "yoke_vrrp_0_eth0", "yoke_vrrp_256_eth0", "yoke_vrrp_051_eth0", "yoke_vrrp_ 51_eth0",
	    "yoke_vrrp_+51_eth0", "yoke_vrrp_-51_eth0", "yoke_vrrp_v651_eth0", "yoke_vrrp_mine_1",
	    "yoke_vrrp_51_a b", "yoke_vrrp_51_abcdefghijklmnop", "Yoke_vrrp_51_eth0"};
	static const struct vrrp_fence_id ours[] = {
	    {AF_INET, 51, "eth0"}, {AF_INET, 6, "51_eth0"}, {AF_INET6, 255, "br-lan"}};
	struct vrrp_fence_id id;
	char name[VRRP_FENCE_NAME_MAX];
	for (size_t i = 0; i < COUNT(foreign); i++)
		CU_ASSERT_FALSE(vrrp_fence_parse_name(foreign[i], &id));
	for (size_t i = 0; i < COUNT(ours); i++) {
		CU_ASSERT_EQUAL(vrrp_fence_name(&ours[i], name, NULL), 0);
		CU_ASSERT_TRUE_FATAL(vrrp_fence_parse_name(name, &id));
		CU_ASSERT_EQUAL(id.family, ours[i].family);
		CU_ASSERT_EQUAL(id.vrid, ours[i].vrid);
		CU_ASSERT_STRING_EQUAL(id.interface, ours[i].interface);
	}
}

static const char golden6[] =
    "\tchain ingress {\n"
    "\t\ttype filter hook ingress devices = { \"eth0\" } priority -300; policy accept;\n"
    "\t\tip6 daddr { fe80::10, 2001:db8::10 } meta iiftype != @lease drop\n"
    "\t\ticmpv6 type nd-neighbor-solicit @th,64,128 { 0xfe800000000000000000000000000010,"
    " 0x20010db8000000000000000000000010 } meta iiftype != @lease drop\n"
    "\t\tip6 nexthdr 112 @th,8,8 51 ip6 hoplimit >= 255 ip6 saddr != fe80::11 goto vrrp_in\n"
    "\t}\n"
    "\tchain egress {\n"
    "\t\ttype filter hook egress devices = { \"eth0\" } priority -300; policy accept;\n"
    "\t\tip6 nexthdr 112 @th,8,8 51 goto vrrp_out\n"
    "\t\ticmpv6 type nd-neighbor-advert @th,64,128 { 0xfe800000000000000000000000000010,"
    " 0x20010db8000000000000000000000010 } meta oiftype != @lease drop\n"
    "\t\tip6 saddr { fe80::10, 2001:db8::10 }"
    " meta oiftype != @lease drop\n"
    "\t\tether type 0x88b5 @nh,0,32 0x796f6b65 @nh,32,16 0x0633 goto token\n"
    "\t}\n"
    "}\n";

static void ipv6_has_neighbour_discovery(void)
{
	char text[VRRP_FENCE_TEXT_MAX];
	struct vrrp_fence fence = example();
	source = ip("fe80::11");
	addresses[0] = ip("fe80::10");
	addresses[1] = ip("2001:db8::10");
	fence.id.family = AF_INET6;
	CU_ASSERT_FATAL(vrrp_fence_text(&fence, VRRP_FENCE_FRESH, text, NULL) > 0);
	const char *hooks = strstr(text, "\tchain ingress");
	CU_ASSERT_PTR_NOT_NULL_FATAL(hooks);
	if (strcmp(hooks, golden6) != 0)
		printf("\n%s", hooks);
	CU_ASSERT_STRING_EQUAL(hooks, golden6);
}

static void vrrp2_has_other_adverts_and_no_claims(void)
{
	char text[VRRP_FENCE_TEXT_MAX];
	struct vrrp_fence fence = example();
	fence.version = 2;
	fence.interval_us = fence.active_interval_us = 1000000;
	CU_ASSERT(vrrp_fence_text(&fence, VRRP_FENCE_FRESH, text, NULL) > 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\t\t@th,0,8 0x21 goto advert\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\t\t@th,0,8 0x21 @th,16,8 != 0 update @peer"));
	CU_ASSERT_PTR_NULL(strstr(text, "0x31"));
	CU_ASSERT_PTR_NULL(strstr(text, "0x3e"));
}

/* 38: nothing reaches a Backup by the virtual MAC, and nothing of it leaves but adverts. */
static void t38_the_virtual_mac_is_fenced(void)
{
	static const uint8_t mac[6] = {0, 0, 0x5e, 0, 1, 51};
	char text[VRRP_FENCE_TEXT_MAX];
	struct vrrp_fence fence = example();
	fence.virtual_mac = mac;
	CU_ASSERT_FATAL(vrrp_fence_text(&fence, VRRP_FENCE_FRESH, text, NULL) > 0);
	const char *in = strstr(text, "\t\t@ll,0,48 0x00005e000133 meta iiftype != @lease drop\n");
	const char *adverts = strstr(text, "goto vrrp_out");
	const char *out =
	    strstr(text, "\t\t@ll,48,48 0x00005e000133 meta oiftype != @lease drop\n");
	CU_ASSERT(in && adverts && out && in < adverts && adverts < out);
}

/* 68: a packet with a lower TTL is no sign of life. */
static void t68_the_ttl_window_counts_for_the_kernel_too(void)
{
	char text[VRRP_FENCE_TEXT_MAX];
	struct vrrp_fence fence = example();
	fence.ttl_min = 250;
	CU_ASSERT(vrrp_fence_text(&fence, VRRP_FENCE_FRESH, text, NULL) > 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, " ip ttl >= 250 ip saddr != 192.0.2.11 goto vrrp_in"));
}

/* The inequalities of the election, with a jiffy of 4 ms against us on each side, for the best
 * priority that a peer can have. One advert may be lost where there is time for it. */
/* An element lives for whole jiffies, and the first of them has begun before. */
static double longest_ms(uint32_t timeout_ms)
{
	return (timeout_ms + 3) / 4 * 4;
}

static double shortest_ms(uint32_t timeout_ms)
{
	return longest_ms(timeout_ms) - 4;
}

/* For every interval that can be written, and the most impatient peer. tests/sim/explore.c shows
 * that nothing else is needed of these times. */
static void times_keep_the_inequalities(void)
{
	for (uint32_t t_ms = 10; t_ms <= 40950; t_ms += 10) {
		uint32_t t_us = t_ms * 1000;
		struct vrrp_fence_times times = vrrp_fence_times(t_us, t_us);
		double delay_ms = vrrp_claim_beat_us(t_us) / 1e3;
		double lead_ms = vrrp_claim_us(t_us) / 1e3, skew_ms = t_ms / 256.;
		CU_ASSERT_DOUBLE_EQUAL(lead_ms, 5 * delay_ms, 0.001);
		CU_ASSERT(lead_ms <= t_ms / 4.);
		CU_ASSERT(shortest_ms(times.lease_ms) > 1.5 * t_ms);
		CU_ASSERT(t_ms + longest_ms(times.lease_ms) < 3 * t_ms + skew_ms);
		CU_ASSERT(shortest_ms(times.permit_ms) > lead_ms);
		CU_ASSERT(
		    shortest_ms(times.claim_ms) >= longest_ms(times.permit_ms) + delay_ms - 1);
		CU_ASSERT(longest_ms(times.peer_ms) < 3 * t_ms + skew_ms);
		CU_ASSERT(shortest_ms(times.peer_ms) >= longest_ms(times.lease_ms) + delay_ms);
		CU_ASSERT(vrrp_claim_outbid_us(t_us) >= longest_ms(times.claim_ms) * 1000);
	}
	/* the peer's rhythm counts for what we hear of it, ours for what we send */
	struct vrrp_fence_times mixed = vrrp_fence_times(100000, 1000000);
	CU_ASSERT_EQUAL(mixed.lease_ms, 194);
	CU_ASSERT_EQUAL(mixed.peer_ms, 2990);
}

static void token_is_a_frame_to_ourselves(void)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 7};
	static const uint8_t head[] = {2, 0, 0, 0, 0, 7, 2, 0, 0, 0, 0, 7, 0x88, 0xb5, 'y', 'o',
	    'k', 'e', 4, 51, VRRP_TOKEN_RELEASE, 0};
	uint8_t frame[VRRP_TOKEN_LEN];
	struct vrrp_fence_id id = {AF_INET, 51, "eth0"};
	vrrp_fence_token(VRRP_TOKEN_RELEASE, &id, mac, frame);
	CU_ASSERT_EQUAL(memcmp(frame, head, sizeof(head)), 0);
	id.family = AF_INET6;
	vrrp_fence_token(VRRP_TOKEN_PERMIT, &id, mac, frame);
	CU_ASSERT_EQUAL(frame[18], 6);
	CU_ASSERT_EQUAL(frame[20], VRRP_TOKEN_PERMIT);
}

UNIT_MAIN("vrrp/fence", UNIT(golden_rules_are_written), UNIT(a_change_keeps_the_sets),
    UNIT(it_stands_on_the_way_of_the_adverts_too), UNIT(sixteen_addresses_fit),
    UNIT(names_that_nftables_cannot_write_are_refused), UNIT(families_have_tables_of_their_own),
    UNIT(names_of_tables_are_read), UNIT(ipv6_has_neighbour_discovery),
    UNIT(vrrp2_has_other_adverts_and_no_claims), UNIT(t38_the_virtual_mac_is_fenced),
    UNIT(t68_the_ttl_window_counts_for_the_kernel_too), UNIT(times_keep_the_inequalities),
    UNIT(token_is_a_frame_to_ourselves))
