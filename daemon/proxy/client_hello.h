/* The ClientHello at the beginning of a TCP connection: the codec is daemon/sni. */
#pragma once

#include "daemon/proxy/preface.h"

/* Of a listener in mode tcp with routes: they choose the pool. All bytes stay. */
extern const struct preface_reader client_hello_reader;
