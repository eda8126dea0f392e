/* A CUnit program in a few lines:
 *
 *	static void parses_the_minimum(void) { CU_ASSERT_EQUAL(...); }
 *	UNIT_MAIN("http/h1", UNIT(parses_the_minimum), UNIT_AS("RFC 9112 2.2: ...", other))
 */
#pragma once

#include <CUnit/Basic.h>
#include <stdio.h>

struct unit_case {
	const char *name;
	void (*run)(void);
};

#define UNIT(function)              \
	{                           \
#function, function \
	}

/* Under a name that is no identifier: a numbered requirement. */
#define UNIT_AS(name, function) \
	{                       \
		name, function  \
	}

static inline int unit_run(const char *suite_name, const struct unit_case *cases, size_t n)
{
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	CU_pSuite suite = CU_add_suite(suite_name, NULL, NULL);
	for (size_t i = 0; i < n; i++) {
		if (!suite || !CU_add_test(suite, cases[i].name, cases[i].run))
			return 2;
	}
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	unsigned failed = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failed ? 1 : 0;
}

#define UNIT_MAIN(suite, ...)                                                    \
	int main(void)                                                           \
	{                                                                        \
		static const struct unit_case cases[] = {__VA_ARGS__};           \
		return unit_run(suite, cases, sizeof(cases) / sizeof(cases[0])); \
	}
