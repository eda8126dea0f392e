/* Preloaded into yoke-vrrp: counts its calls for memory in a file that a test maps. Other programs
 * that inherit it count nothing. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);
void __libc_free(void *block);
void *__libc_memalign(size_t alignment, size_t size);

struct page {
	uint64_t calls;
	uint64_t caller; /* of the last one: an offset in `file` */
	char file[112];
};

static struct page *page;

__attribute__((constructor)) static void attach(void)
{
	const char *path = getenv("YOKE_COUNT_FILE");
	if (!path || strcmp(program_invocation_short_name, "yoke-vrrp") != 0)
		return;
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || ftruncate(fd, sizeof(*page)) < 0)
		abort();
	void *at = (void *)syscall(
	    SYS_mmap, NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	page = at;
}

static void count(void *caller)
{
	Dl_info info;
	if (!page)
		return;
	page->calls++;
	if (dladdr(caller, &info) == 0)
		return;
	page->caller = (uint64_t)((char *)caller - (char *)info.dli_fbase);
	strncpy(page->file, info.dli_fname, sizeof(page->file) - 1);
}

#define COUNT() count(__builtin_return_address(0))

void *malloc(size_t size)
{
	COUNT();
	return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	COUNT();
	return __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
	COUNT();
	return __libc_realloc(old, size);
}

void free(void *block)
{
	COUNT();
	__libc_free(block);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	COUNT();
	return __libc_memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
	COUNT();
	*out = __libc_memalign(alignment, size);
	return *out ? 0 : ENOMEM;
}

void *mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
	COUNT();
	return (void *)syscall(SYS_mmap, at, len, protection, flags, fd, offset);
}

int munmap(void *at, size_t len)
{
	COUNT();
	return (int)syscall(SYS_munmap, at, len);
}
