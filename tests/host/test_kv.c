/*
 * The key-value device of guests/kv: what front ends that lie can do to its table, and to each other.
 */
#include "fake.h"
#include "guests/kv/table.h"

static struct kv_reply reply;

static int64_t ask(uint32_t front_end, uint64_t operation, const char *key, const char *value)
{
	struct kv_request request = { .number = 7, .operation = operation };

	strncpy(request.key, key, KV_KEY_BYTES);
	strncpy(request.value, value, KV_VALUE_BYTES);
	kv_serve(front_end, &request, &reply);
	assert_int_equal(reply.number, 7);
	return reply.status;
}

static int table_clear(void **state)
{
	(void)state;
	memset(kv_entries, 0, sizeof(kv_entries));
	kv_gone = 0;
	return 0;
}

TEST(what_is_put_is_got_until_it_is_deleted)
{
	assert_int_equal(ask(0, KV_GET, "a", ""), WEIR_NOT_FOUND);
	assert_int_equal(ask(0, KV_PUT, "a", "one"), WEIR_OK);
	assert_int_equal(ask(1, KV_GET, "a", ""), WEIR_OK);
	assert_string_equal(reply.value, "one");
	assert_int_equal(ask(1, KV_DELETE, "a", ""), WEIR_OK);
	assert_int_equal(ask(0, KV_GET, "a", ""), WEIR_NOT_FOUND);
	assert_string_equal(reply.value, "");
}

TEST(who_says_goodbye_twice_does_not_end_the_device_for_the_others)
{
	for (uint32_t i = 0; i < 2 * KV_FRONT_ENDS; i++) {
		assert_int_equal(ask(0, KV_BYE, "a", ""), WEIR_OK);
		assert_false(kv_all_done());
	}
	for (uint32_t i = 1; i < KV_FRONT_ENDS; i++)
		assert_int_equal(ask(i, KV_BYE, "a", ""), WEIR_OK);
	assert_true(kv_all_done());
}

TEST(nonsense_is_refused)
{
	assert_int_equal(ask(0, KV_PUT, "", "x"), WEIR_INVALID);
	assert_int_equal(ask(0, KV_PUT, "a name without an end", "x"), WEIR_INVALID);
	assert_int_equal(ask(0, 99, "a", "x"), WEIR_INVALID);
}

TEST(a_table_that_is_full_says_so)
{
	char key[] = "A";

	for (uint32_t i = 0; i < KV_ENTRIES; i++, key[0]++)
		assert_int_equal(ask(0, KV_PUT, key, "x"), WEIR_OK);
	assert_int_equal(ask(0, KV_PUT, "another", "x"), WEIR_QUOTA);
	assert_int_equal(ask(0, KV_PUT, "A", "y"), WEIR_OK);
}

#define CASE(name) cmocka_unit_test_setup(name, table_clear)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(what_is_put_is_got_until_it_is_deleted),
		CASE(who_says_goodbye_twice_does_not_end_the_device_for_the_others),
		CASE(nonsense_is_refused),
		CASE(a_table_that_is_full_says_so),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
