/* What the device of guests/kv needs of the guests' runtime: for test_kv.c. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <weir/status.h>
