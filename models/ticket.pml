/* ticket.pml: the life of a request: its result slot goes from hand to hand, its ticket names one use of the slot.
 *
 *     FREE --claim--> FILLING --send--> WORKING --complete--> DONE --take--> FREE, a generation later
 *      the submitter's           the coordinator's       the submitter's
 *
 * One word holds the state and the generation, and is changed by compare-and-swap where two could want to (claim, take), by a
 * plain store where it has one owner (fill, complete). A submitter waits, or its time is over and it looks again later. A
 * second thread tries to take the same result, and a third one may cancel it, at any moment, also too late. The coordinator
 * completes by doing the work or as cancelled. There is one slot for all submissions, so it is used again and again.
 *
 * Shown: every submitted request is completed once and its result taken once, by one; it is the request's own result; a cancel
 * hits its own request or nothing; nobody waits for ever; in the end every slot is free.
 * A time-out of the submitter changes nothing in the slot. */
#ifndef SUBMITTERS
#define SUBMITTERS 2
#endif
#ifndef REQUESTS
#define REQUESTS 2 /* of each submitter */
#endif
#define SLOTS 1

mtype = { FREE, FILLING, WORKING, DONE };
mtype = { REQUEST, CANCEL };
mtype = { NONE, RESULT, CANCELLED };

mtype state[SLOTS] = FREE;
byte generation[SLOTS];
byte owner[SLOTS];    /* whose request: written by the submitter, read by the coordinator */
mtype answer[SLOTS] = NONE;
byte answer_to[SLOTS];

chan inbox = [2] of { mtype, byte, byte }; /* kind, slot, generation */

byte submitted, completed, taken;
byte changes;       /* the word that waiters sleep on; wraps */
byte done_submitters;

inline complete(slot_, gen_, how) {
	assert(state[slot_] == WORKING && generation[slot_] == gen_);
#ifdef DONE_BEFORE_RESULT
	state[slot_] = DONE;
	answer[slot_] = how; answer_to[slot_] = owner[slot_];
#else
	answer[slot_] = how; answer_to[slot_] = owner[slot_];
	state[slot_] = DONE;
#endif
	completed++;
#ifndef COMPLETE_WAKES_NOBODY
	atomic { changes = (changes + 1) % 8 }
#endif
}

/* Takes the result if it has come; `mine` tells. `checks` is the submitter or the second thread. */
inline take(slot_, gen_) {
#ifdef TAKE_IN_TWO_STEPS
	mine = (state[slot_] == DONE && generation[slot_] == gen_);
	if
	:: mine -> read_result(slot_); state[slot_] = FREE; generation[slot_]++
	:: else
	fi;
#else
	/* to FILLING: nobody else's until it was read */
	atomic {
		mine = (state[slot_] == DONE && generation[slot_] == gen_);
		if
		:: mine -> state[slot_] = FILLING
		:: else
		fi
	}
	if
	:: mine ->
		read_result(slot_);
#ifdef NO_GENERATION
		state[slot_] = FREE
#else
		atomic { generation[slot_]++; state[slot_] = FREE }
#endif
	:: else
	fi;
#endif
	if
	:: mine -> atomic { changes = (changes + 1) % 8 } /* somebody may wait for a slot */
	:: else
	fi
}

inline read_result(slot_) {
	assert(answer[slot_] != NONE);
	assert(answer_to[slot_] == me);
	assert(answer[slot_] != CANCELLED || asked_cancel);
	answer[slot_] = NONE;
	taken++
}

proctype second_taker(byte me; byte slot; byte gen; bool asked_cancel; chan back) {
	bool mine;
	take(slot, gen);
	back ! mine
}

/* Any thread may cancel by the ticket, and may be late: the slot can be another request's by then. */
proctype canceller(byte slot; byte gen) {
	if
	:: atomic { nfull(inbox) -> inbox ! CANCEL, slot, gen }
	:: full(inbox) /* refused: QUEUE_FULL */
	fi
}

proctype submitter(byte me) {
	byte sent, slot, gen, seen;
	bool mine, asked_cancel, by_other;
	chan back = [0] of { bool };
	do
	:: sent == REQUESTS -> break
	:: else ->
		/* claim */
		atomic { state[slot] == FREE -> state[slot] = FILLING; gen = generation[slot] }
		owner[slot] = me;
		sent++;
		asked_cancel = false;
		if
		:: full(inbox) -> state[slot] = FREE; goto next /* QUEUE_FULL: the slot goes back */
		:: nfull(inbox) ->
#ifdef HAND_OVER_AFTER_SEND
			inbox ! REQUEST, slot, gen;
			state[slot] = WORKING
#else
			state[slot] = WORKING;
			inbox ! REQUEST, slot, gen
#endif
		fi;
		submitted++;
#ifndef NO_CANCEL
		if
		:: asked_cancel = true; run canceller(slot, gen)
		:: skip
		fi;
#endif
		/* another thread polls the same ticket at the same time */
		by_other = false;
		run second_taker(me, slot, gen, asked_cancel, back);
		/* wait: look, sleep until something changes, look again; a time-out is a look that finds nothing */
		do
		:: seen = changes;
			take(slot, gen);
			if
			:: mine -> break
			:: else ->
#ifdef TIME_OUT_FREES_THE_SLOT
				if
				:: state[slot] = FREE; break
				:: true
				fi;
#endif
				if
				:: generation[slot] != gen -> break /* TICKET: taken by the other */
				:: changes != seen
				fi
			fi
		od;
		back ? by_other;
		assert(!(mine && by_other));
		assert(mine || by_other);
next:		skip
	od;
	done_submitters++
}

proctype coordinator() {
	byte slot, gen, running, running_gen;
	bool busy;
	do
	:: inbox ? REQUEST, slot, gen ->
		/* one at a time here: what runs is finished before the next begins */
		if
		:: busy -> complete(running, running_gen, RESULT)
		:: else
		fi;
		busy = true; running = slot; running_gen = gen
	:: inbox ? CANCEL, slot, gen ->
#ifdef CANCEL_IGNORES_GENERATION
		if
		:: busy && running == slot -> complete(running, running_gen, CANCELLED); busy = false
		:: else
		fi
#elif defined(CANCEL_COMPLETES_TWICE)
		if
		:: busy && running == slot && running_gen == gen -> complete(running, running_gen, CANCELLED)
		:: else
		fi
#else
		if
		:: busy && running == slot && running_gen == gen ->
			complete(running, running_gen, CANCELLED); busy = false
		:: else /* it has ended: nothing to cancel */
		fi
#endif
	:: busy -> complete(running, running_gen, RESULT); busy = false
	:: done_submitters == SUBMITTERS && empty(inbox) && !busy -> break
	od;
	assert(submitted == completed);
	assert(submitted == taken);
	assert(state[0] == FREE)
}

init {
	byte next;
	atomic {
		run coordinator();
		do
		:: next < SUBMITTERS -> run submitter(next); next++
		:: else -> break
		od
	}
}
