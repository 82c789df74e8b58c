/* test_doctor.c: each check of the doctor finds what it is for, and a healthy server has none. */
#include "server/doctor/doctor.h"
#include "unit/cmocka_all.h"

#include <string.h>

#define MIB UINT64_C(1048576)
#define NS_PER_S UINT64_C(1000000000)
#define ROOM 40u

/* Busy, full, evicting, and well. */
static struct doctor_figures healthy(void) {
	return (struct doctor_figures){
		.recent = {.at_ns = 420 * NS_PER_S,
				   .gets = 1000000,
				   .hits = 900000,
				   .evictions = 5000,
				   .late_steps = 3,
				   .auth_errors = 2,
				   .cpu_ns = 400 * NS_PER_S},
		.before = {.at_ns = 300 * NS_PER_S, .gets = 1000000, .hits = 910000},
		.workers = 2,
		.busiest_cpu_ns = 230 * NS_PER_S,
		.limit_bytes = 64 * MIB,
		.limit_goal_bytes = 64 * MIB,
		.reclaimable_bytes = MIB,
		.leased_bytes = 4 * MIB,
		.cleans_up = true,
		.item_max_bytes = MIB,
		.connections = 100,
		.connections_max = 1024,
		.connection_memory_bytes = 16 * MIB,
		.listen_room = 1024,
		.listen_waiting = 1,
		.has_certificate = true,
		.certificate_valid_s = 90 * 86400,
		.resident_bytes = 90 * MIB,
		.accounted_bytes = 70 * MIB,
		.promised_bytes = 80 * MIB,
		.machine_bytes = 1024 * MIB,
		.has_file = true,
		.file_bytes = 32 * MIB,
		.file_free_bytes = 40 * MIB,
		.clock_set_s = 1,
	};
}

static void assert_well(const struct doctor_figures *figures) {
	struct finding found[ROOM];
	size_t count = doctor_find(figures, found, ROOM);
	if (count > 0) fail_msg("%s: %s", found[0].check, found[0].what);
}

/* That check alone, with that figure in its sentence. */
static void assert_found(const struct doctor_figures *figures, const char *check,
						 const char *part) {
	struct finding found[ROOM];
	size_t count = doctor_find(figures, found, ROOM);
	if (count != 1) fail_msg("%s: %zu findings", check, count);
	assert_string_equal(found[0].check, check);
	if (strstr(found[0].what, part) == NULL) fail_msg("no %s in: %s", part, found[0].what);
	assert_true(strlen(found[0].advice) > 10);
	assert_true(strlen(found[0].what) < FINDING_ROOM - 1 &&
				strlen(found[0].advice) < FINDING_ROOM - 1);
}

static void test_a_healthy_server_has_nothing(void **state) {
	struct doctor_figures figures = healthy();
	(void)state;
	assert_well(&figures);
	assert_well(&(struct doctor_figures){.machine_bytes = UINT64_MAX, .cleans_up = true});
}

/* FOUND(set, check, part): the healthy one, with one thing wrong. */
#define FOUND(set, check, part)                    \
	do {                                           \
		struct doctor_figures figures = healthy(); \
		set;                                       \
		assert_found(&figures, check, part);       \
	} while (0)
#define WELL(set)                                  \
	do {                                           \
		struct doctor_figures figures = healthy(); \
		set;                                       \
		assert_well(&figures);                     \
	} while (0)

static void test_memory(void **state) {
	(void)state;
	FOUND(figures.recent.no_memory = 1, "no_room",
		  "1 store refused in the last 7 min: no room "
		  "within the limit of 64.0 MiB");
	FOUND((figures.recent.no_memory = 2, figures.no_eviction = true), "no_room",
		  "2 stores refused");
	FOUND(figures.recent.too_large = 12, "too_large", "larger than an item may be, 1.00 MiB");
	FOUND(figures.reclaimable_bytes = 4 * MIB, "evicts_beside_holes", "4.00 MiB (6 %)");
	WELL((figures.reclaimable_bytes = 4 * MIB, figures.recent.evictions = 0));
	FOUND((figures.reclaimable_bytes = 7 * MIB, figures.recent.evictions = 0,
		   figures.cleans_up = false),
		  "cleanup_off", "7.00 MiB (11 % of the limit)");
	FOUND(figures.recent.hits = 850000, "fewer_hits",
		  "from 91.0 % to 85.0 % of gets in the last 7 "
		  "min, while 5000 items were evicted");
	WELL((figures.recent.hits = 850000, figures.recent.evictions = 0));
	WELL((figures.recent.hits = 85, figures.recent.gets = 100));
	FOUND(figures.leased_bytes = 30 * MIB, "leases", "30.0 MiB of large values, of 32.0 MiB");
	FOUND((figures.limit_bytes = 128 * MIB, figures.no_eviction = true), "limit_not_reached",
		  "still 128.0 MiB and shall be 64.0 MiB");
	WELL(figures.limit_bytes = 128 * MIB);
}

static void test_connections(void **state) {
	(void)state;
	FOUND(figures.recent.too_many = 3, "too_many_connections",
		  "3 connections turned away in the last 7 min: 1024 may be open");
	FOUND(figures.connections = 1000, "almost_too_many", "1000 connections are open, and 1024");
	FOUND((figures.connections = 1024, figures.recent.too_many = 1), "too_many_connections", "1 ");
	FOUND(figures.recent.closed = 1, "connection_memory", "1 connection closed and 0 turned away");
	FOUND(figures.recent.not_opened = 4, "connection_memory", "4 turned away");
	FOUND(figures.listen_waiting = 600, "backlog", "600 connections wait to be accepted");
	WELL((figures.listen_waiting = 1, figures.listen_room = 1));
	FOUND(figures.open_addresses = 1, "open_addresses", "1 address can be reached");
	FOUND(figures.recent.auth_errors = 20, "passwords", "20 wrong passwords in the last 7 min");
	FOUND(figures.recent.handshake_errors = 20, "handshakes", "20 handshakes");
	FOUND(figures.certificate_valid_s = 86400 * 2, "certificate", "expires in 48 h");
	FOUND(figures.certificate_valid_s = -5, "certificate", "has expired");
	WELL((figures.certificate_valid_s = 0, figures.has_certificate = false));
}

static void test_machine(void **state) {
	(void)state;
	FOUND(figures.recent.late_steps = 100, "late_steps", "100 steps");
	FOUND(figures.recent.cpu_ns = 800 * NS_PER_S, "busy", "95 % of their processors");
	FOUND((figures.busiest_cpu_ns = 380 * NS_PER_S, figures.busiest_worker = 1), "uneven",
		  "worker 1 used 90 % of a processor in the last 7 min, all of them 48 %");
	WELL((figures.busiest_cpu_ns = 380 * NS_PER_S, figures.workers = 1,
		  figures.recent.cpu_ns = figures.busiest_cpu_ns - 10 * NS_PER_S));
	FOUND(figures.promised_bytes = 2048 * MIB, "beyond_machine", "2.00 GiB");
	FOUND(figures.is_machine_short = true, "machine_short", "short of memory");
	FOUND(figures.swapped_bytes = 12 * MIB, "swapped", "12.0 MiB of the server");
	FOUND(figures.resident_bytes = 256 * MIB, "resident", "256.0 MiB resident, and knows of 70.0");
	FOUND(figures.file_free_bytes = 8 * MIB, "file_room",
		  "may grow by 32.0 MiB, and where it lies 8.00 MiB are free");
	WELL((figures.file_free_bytes = 0, figures.has_file = false));
	WELL((figures.file_free_bytes = 0, figures.file_bytes = 65 * MIB));
	FOUND(figures.anew_reason = "it is of 2 workers, and 3 are wanted", "began_anew",
		  "is gone: it is of 2 workers");
	FOUND(figures.clock_set_s = -7200, "clock_set", "set back by 2 h");
	FOUND(figures.clock_set_s = 90, "clock_set", "set forward by 90 s");
	FOUND(figures.log_dropped = 1, "log_dropped", "1 log line dropped");
}

/* However bad it is: no sentence is cut, no check is forgotten, and no more than there is room for. */
static void test_the_worst_has_its_room(void **state) {
	struct doctor_figures worst;
	struct finding found[ROOM];
	(void)state;
	memset(&worst, 0x7f, sizeof worst);
	worst.no_eviction = worst.has_certificate = worst.has_file = worst.is_machine_short = true;
	worst.cleans_up = false;
	worst.before.hits = worst.before.gets;
	worst.recent.hits = 0;
	worst.limit_goal_bytes = worst.limit_bytes - 1;
	worst.file_bytes = worst.file_free_bytes = worst.machine_bytes = worst.accounted_bytes = 0;
	worst.certificate_valid_s = 1;
	worst.anew_reason = "it was laid out for a limit of 18446744073709551615 bytes at most, and "
						"18446744073709551615 are wanted of 4294967295 workers";
	size_t count = doctor_find(&worst, found, ROOM);
	assert_true(count >= doctor_checks() - 3 && count <= doctor_checks());
	for (size_t i = 0; i < count; i++) {
		assert_true(strlen(found[i].what) < FINDING_ROOM - 1);
		assert_true(strlen(found[i].advice) < FINDING_ROOM - 1);
	}
	assert_int_equal(doctor_find(&worst, found, 2), 2);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_healthy_server_has_nothing),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_connections),
		cmocka_unit_test(test_machine),
		cmocka_unit_test(test_the_worst_has_its_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
