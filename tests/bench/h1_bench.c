/* How long the HTTP/1 codec takes: `h1_bench [seconds]`. Not a test. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/http/h1.h"

static const char small[] = "GET /index.html HTTP/1.1\r\nHost: www.example.com\r\n"
			    "User-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n";
static const char typical[] =
    "GET /shop/cart?id=7 HTTP/1.1\r\nHost: www.example.com\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101\r\n"
    "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Cookie: YOKE=ABCDEFGHIJKLMNOPQRSTUVWXYZ; session=0123456789abcdef\r\n"
    "Connection: keep-alive\r\n\r\n";
static const char response[] = "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\n"
			       "Date: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Type: text/html\r\n"
			       "Content-Length: 615\r\nConnection: keep-alive\r\n"
			       "ETag: \"65a1b2c3-267\"\r\nAccept-Ranges: bytes\r\n\r\n";

static struct h1_head head;

static int parse_small(void)
{
	return h1_parse_request(small, sizeof(small) - 1, &head);
}

static int parse_typical(void)
{
	return h1_parse_request(typical, sizeof(typical) - 1, &head);
}

static int complete_typical(void)
{
	size_t scanned = 0;
	return !h1_head_complete(typical, sizeof(typical) - 1, &scanned);
}

static int parse_response(void)
{
	return h1_parse_response(response, sizeof(response) - 1, H1_GET, &head);
}

static void measure(const char *name, size_t bytes, int (*run)(void), double seconds)
{
	uint64_t start_us = clock_us(), elapsed_us = 0;
	unsigned long n = 0;
	while ((elapsed_us = clock_us() - start_us) < (uint64_t)(seconds * 1e6)) {
		for (int i = 0; i < 1000; i++, n++) {
			if (run() != H1_OK)
				abort();
		}
	}
	double ns = (double)elapsed_us * 1e3 / (double)n;
	printf("%-28s %4zu bytes %7.0f ns %6.2f GB/s\n", name, bytes, ns, (double)bytes / ns);
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 0.5;
	measure("request, 3 fields", sizeof(small) - 1, parse_small, seconds);
	measure("request, 6 fields", sizeof(typical) - 1, parse_typical, seconds);
	measure("head_complete, 6 fields", sizeof(typical) - 1, complete_typical, seconds);
	measure("response, 7 fields", sizeof(response) - 1, parse_response, seconds);
	return 0;
}
