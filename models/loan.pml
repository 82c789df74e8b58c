/* loan.pml: a thing that its owner lends while he sleeps: src/work/loan.c.
 *
 * The owner uses the thing, offers it, sleeps, recalls it, and uses it again. Takers come when they like: they take it if it is offered, use it
 * and return it. One who recalls it while it is taken says so in the word, and sleeps on the word until it is returned. That sleep is a futex's: to compare
 * the word and to fall asleep is one step. A sleeper may wake up for nothing.
 *
 * Shown: never do two use it; the owner always gets it back; in the end it is his. */
#ifndef TAKERS
#define TAKERS 2
#endif
#ifndef ROUNDS
#define ROUNDS 3 /* of the owner */
#endif
#ifndef LOANS
#define LOANS 2 /* that each taker tries to get */
#endif
#ifndef WAKES_EARLY
#define WAKES_EARLY false
#endif

mtype = { KEPT, OFFERED, TAKEN, RECALLED };

mtype state = KEPT;
byte users;     /* of the thing, now */
bool is_asleep; /* the owner, on the word */
bool is_over;

inline use() {
	users++;
	assert(users == 1);
	users--
}

inline sleep_on_word() {
#ifdef SLEEPS_WITHOUT_A_LOOK
	is_asleep = true;
#else
	atomic { if :: state == RECALLED -> is_asleep = true :: else fi }
#endif
	!is_asleep
}

inline recall() {
	do
	:: atomic { state == OFFERED -> state = KEPT } break
#ifdef RECALL_IN_TWO_STEPS
	:: state == TAKEN -> state = RECALLED; wait_for_it(); break
#else
	:: atomic { state == TAKEN -> state = RECALLED } wait_for_it(); break
#endif
	od
}

inline wait_for_it() {
#ifdef RECALL_DOES_NOT_WAIT
	skip
#else
	do
	:: state == RECALLED -> sleep_on_word()
	:: state != RECALLED -> break
	od
#endif
}

inline give_back() {
	if
#ifdef RETURN_FORGETS_RECALL
	:: state = OFFERED
#else
	:: atomic { state == TAKEN -> state = OFFERED }
	:: state == RECALLED ->
#ifdef WAKE_FIRST
		is_asleep = false;
		state = KEPT
#else
		state = KEPT;
#ifndef RETURN_WAKES_NOBODY
		is_asleep = false
#endif
#endif
#endif
	fi
}

proctype owner() {
	byte round;
	do
	:: round < ROUNDS ->
		use();
#ifdef OFFERS_BEFORE_USE_ENDS
		state = OFFERED;
		use();
#else
		state = OFFERED;
#endif
		recall();
		round++
	:: else -> break
	od;
	use();
	assert(state == KEPT);
	is_over = true
}

proctype taker() {
	byte loan;
	do
	:: loan < LOANS ->
		if
#ifdef TAKE_IN_TWO_STEPS
		:: state == OFFERED -> state = TAKEN; use(); give_back()
#else
		:: atomic { state == OFFERED -> state = TAKEN } use(); give_back()
#endif
		:: state != OFFERED -> skip
		fi;
		loan++
	:: else -> break
	od
}

/* A wait may end for nothing. */
active proctype chance() {
	do
	:: atomic { is_asleep && WAKES_EARLY -> is_asleep = false }
	:: is_over -> break
	od
}

init {
	atomic {
		byte i;
		run owner();
		for (i : 1 .. TAKERS) { run taker() }
	}
}
