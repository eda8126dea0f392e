/* Time. Durations and instants are microseconds of CLOCK_MONOTONIC unless a name says otherwise. */
#pragma once

#include <stdint.h>

#define US_PER_MS  1000ULL
#define US_PER_SEC 1000000ULL

uint64_t clock_us(void);       /* monotonic */
uint64_t clock_wall_sec(void); /* seconds since 1970: for people and cookies, never for timers */
uint64_t clock_wall_us(void);
