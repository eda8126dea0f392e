/* The PROXY protocol on connections of ours: the codec is daemon/proxyproto. */
#pragma once

#include "daemon/proxy/preface.h"

/* Of a listener with `proxy_protocol`: the header names the client. */
extern const struct preface_reader proxy_header_reader;
