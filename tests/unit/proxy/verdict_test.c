#include "daemon/proxy/verdict.h"

#include "tests/unit/unit.h"

#define WINDOW 800

/* A history: at each moment what was found, how many the laziest socket accepted since it is
 * counted, and whether the address is stuck then. */
struct moment {
	uint64_t now_us;
	enum sign sign;
	uint64_t accepted;
	bool stuck, counts_anew;
};

static void check_history(const struct moment *moments, size_t n)
{
	struct verdict verdict = {0};
	for (size_t i = 0; i < n; i++) {
		const struct moment *m = &moments[i];
		bool anew = verdict_step(&verdict, m->sign, m->accepted, WINDOW, m->now_us);
		if (anew != m->counts_anew || verdict.stuck != m->stuck)
			printf("\nmoment %zu\n", i);
		CU_ASSERT_EQUAL(anew, m->counts_anew);
		CU_ASSERT_EQUAL(verdict.stuck, m->stuck);
	}
}

#define CHECK_HISTORY(...)                                                    \
	do {                                                                  \
		static const struct moment moments[] = {__VA_ARGS__};         \
		check_history(moments, sizeof(moments) / sizeof(moments[0])); \
	} while (0)

static void silence_is_stuck_after_a_window(void)
{
	CHECK_HISTORY({1000, SIGN_SILENCE, 0, false, true}, {1500, SIGN_SILENCE, 0, false, false},
	    {1800, SIGN_SILENCE, 0, false, false}, {1801, SIGN_SILENCE, 0, true, true},
	    {2000, SIGN_SILENCE, 0, true, false}, {2602, SIGN_SILENCE, 0, true, true});
}

static void an_answer_ends_it(void)
{
	CHECK_HISTORY({1000, SIGN_SILENCE, 0, false, true}, {1700, SIGN_ANSWER, 0, false, false},
	    {1900, SIGN_SILENCE, 0, false, true}, {2700, SIGN_SILENCE, 0, false, false},
	    {2701, SIGN_SILENCE, 0, true, true}, {2702, SIGN_ANSWER, 0, false, false},
	    {9000, SIGN_ANSWER, 0, false, false});
}

static void who_cannot_ask_knows_nothing(void)
{
	CHECK_HISTORY({1000, SIGN_NONE, 0, false, false}, {9000, SIGN_SILENCE, 0, false, true},
	    {9700, SIGN_NONE, 0, false, false}, {9801, SIGN_SILENCE, 0, false, true},
	    {10602, SIGN_SILENCE, 0, true, true},
	    /* nor that it has recovered */
	    {11000, SIGN_NONE, 0, true, false}, {19000, SIGN_NONE, 0, true, false},
	    {19100, SIGN_SILENCE, 0, true, true}, {19200, SIGN_ANSWER, 0, false, false});
}

static void who_accepts_many_is_busy(void)
{
	CHECK_HISTORY({1000, SIGN_SILENCE, 0, false, true},
	    {1801, SIGN_SILENCE, VERDICT_BUSY, false, true}, {2500, SIGN_SILENCE, 0, false, false},
	    {2602, SIGN_SILENCE, VERDICT_BUSY + 1000, false, true},
	    /* and one that does no more is not, however long it was */
	    {3403, SIGN_SILENCE, VERDICT_BUSY - 1, true, true},
	    {4204, SIGN_SILENCE, VERDICT_BUSY - 1, true, true},
	    {5005, SIGN_SILENCE, VERDICT_BUSY, false, true}, {5806, SIGN_SILENCE, 1, true, true});
}

static void tells_since_when(void)
{
	struct verdict verdict = {0};
	verdict_step(&verdict, SIGN_SILENCE, 0, WINDOW, 1000);
	verdict_step(&verdict, SIGN_SILENCE, 0, WINDOW, 1900);
	verdict_step(&verdict, SIGN_SILENCE, 0, WINDOW, 2800);
	CU_ASSERT_EQUAL(verdict.silent_us, 1000);
	/* after an overload it counts from its end */
	verdict_step(&verdict, SIGN_SILENCE, VERDICT_BUSY, WINDOW, 3700);
	CU_ASSERT_EQUAL(verdict.silent_us, 3700);
}

UNIT_MAIN("proxy/verdict", UNIT(silence_is_stuck_after_a_window), UNIT(an_answer_ends_it),
    UNIT(who_cannot_ask_knows_nothing), UNIT(who_accepts_many_is_busy), UNIT(tells_since_when))
