/* stop.pml: the orderly stop of a worker: refuse new, take what is in, answer everything, end; and its clients' end.
 *
 * Channels are as channel.pml shows them: a send is refused once the receiver has closed, close returns when no sender is
 * inside, and what is in can then still be received. A client has at most FLIGHT operations whose answer it has not taken, and
 * its own channel holds that many: so answering never waits. The inbox holds INBOX messages; a client waits for room there or is
 * refused. The worker serves, may be in the middle of a job of the coordinator's, and stops when told to. The stop is told by a flag
 * and, as the worker may sleep, by closing its inbox, which wakes it. Its heap stays when it has stopped, for clients may read what
 * lies there at any moment. It goes when the workers are destroyed, which is refused while a client is left.
 *
 * Shown: no deadlock; each operation that was accepted is answered exactly once, also when the stop is in the middle; the job is
 * answered too; the stop returns after all answers are sent; the worker touches no client's channel after the client has gone; no client reads a heap that has
 * gone; each heap goes in the end. */
#ifndef CLIENTS
#define CLIENTS 2
#endif
#ifndef OPERATIONS
#define OPERATIONS 3 /* of each client */
#endif
#ifndef FLIGHT
#define FLIGHT 2
#endif
#ifndef INBOX
#define INBOX 2
#endif
#define JOB CLIENTS /* a sender that is no client */

chan inbox = [INBOX] of { byte };         /* whose */
#ifdef ANSWERS_TOO_SMALL
chan answers0 = [FLIGHT - 1] of { bit };
chan answers1 = [FLIGHT - 1] of { bit };
#else
chan answers0 = [FLIGHT] of { bit };
chan answers1 = [FLIGHT] of { bit };
#endif
bool closed, ended, stopped;              /* inbox closed; nobody inside; the worker's thread has ended */
bool releasing, heap_is_there = true;     /* destroyed: the heap may go */
byte inside;
byte accepted[CLIENTS], answered[CLIENTS];
bool gone[CLIENTS];
bool job_asked, job_answered;

inline answer(who) {
	if
	:: who == JOB -> job = true /* begins; is answered at its end */
	:: who < CLIENTS ->
		assert(!gone[who]);
		if /* never waits */
		:: who == 0 -> assert(nfull(answers0)); answers0 ! 0
		:: who == 1 -> assert(nfull(answers1)); answers1 ! 0
		fi;
		answered[who]++
	fi
}

proctype worker() {
	byte who;
	bool job, over;
	do
	:: inbox ? who -> answer(who)
	:: job -> /* a slice: it may be the last */
		if
		:: job = false; assert(!job_answered); job_answered = true
		:: true
		fi
	:: closed ->
		/* stopping: a running job ends as cancelled; what is in is taken; then it is over */
#ifdef STOP_FORGETS_JOB
		job = false;
#else
		if
		:: job -> job = false; assert(!job_answered); job_answered = true
		:: else
		fi;
#endif
#ifdef STOP_DROPS_INBOX
		break;
#endif
#ifndef STOP_BEFORE_CLOSE_ENDS
		over = ended;
#else
		over = true;
#endif
		do
		:: inbox ? who -> answer(who)
		:: empty(inbox) -> break
		od;
#ifndef STOP_FORGETS_JOB
		if
		:: job -> job = false; assert(!job_answered); job_answered = true
		:: else
		fi;
#endif
		if
		:: over -> break
		:: else
		fi
	od;
#ifdef RELEASE_AT_STOP
	heap_is_there = false;
#endif
	stopped = true;
	(releasing);
	heap_is_there = false
}

/* Enters, waits for room or is sent out by the close; tells whether it was accepted. */
inline send(who) {
	atomic {
		if
		:: closed -> ok = false
		:: else -> inside++; ok = true
		fi
	}
	if
	:: ok ->
		if
		:: closed && full(inbox) -> ok = false
		:: inbox ! who
		fi;
		inside--
	:: else
	fi
}

inline take_answer() {
	if
	:: me == 0 -> answers0 ? _
	:: me == 1 -> answers1 ? _
	fi;
	in_flight--
}

proctype client(byte me) {
	byte sent, in_flight;
	bool ok = true;
	do
	:: sent < OPERATIONS && in_flight < FLIGHT && ok ->
		send(me);
		if
		:: ok -> sent++; in_flight++; accepted[me]++
		:: else /* STOPPED */
		fi
	:: in_flight > 0 -> take_answer()
	:: assert(heap_is_there) /* a look at an item */
#ifdef CLIENT_LEAVES_EARLY
	:: in_flight > 0 -> break
#endif
	:: in_flight == 0 && (sent == OPERATIONS || !ok) -> break
	od;
	gone[me] = true
}

/* The coordinator asks for one job, if the worker still takes it. */
proctype coordinator() {
	bool ok;
	send(JOB);
	job_asked = ok;
	(!job_asked || job_answered)
}

/* At any moment. */
proctype stopper() {
	closed = true;
	(inside == 0);
	ended = true;
	(stopped);
	assert(empty(inbox));
	/* destroy: IN_USE before */
#ifndef DESTROY_IGNORES_CLIENTS
#if CLIENTS > 1
	(gone[1]);
#endif
	(gone[0]);
#endif
	releasing = true
}

init {
	byte next;
	atomic {
		run worker();
		run coordinator();
		run stopper();
		do
		:: next < CLIENTS -> run client(next); next++
		:: else -> break
		od
	}
	(_nr_pr == 1);
	assert(job_asked == job_answered);
	assert(!heap_is_there);
	assert(accepted[0] == answered[0]);
#if CLIENTS > 1
	assert(accepted[1] == answered[1])
#endif
}
