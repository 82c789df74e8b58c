/* channel.pml: sleep, wake and end of src/work/channel/channel.c.
 *
 * Stores that are not part of a read-modify-write lie in a store buffer (pending_...) until the process `memory` writes
 * them, at any time and in any order, but a slot's head after its message; a fence waits until one's own are written, and so does a
 * read-modify-write. Where the code's fence follows a read-modify-write, leaving it out lets the later load be done before it.
 * Claiming room, a loop around a compare-and-swap in the code, is one step here. A message is its position in the order of claims:
 * the receiver sees one that was lost, doubled, overtaken, or read before it was written.
 *
 * Three stories, by macro:
 *     (none)     senders come and go; the receiver ends when the last has detached, and destroys the channel
 *     ANSWERS    the receiver knows how many messages will come; it closes and destroys right after the last
 *     CLOSE      a third thread closes at any moment; with BY_RECEIVER it is the receiver who does
 * With EDGES the wait takes the signals, as they come, and not who was woken (channel_tell_edges).
 * With UNCLAIM the last sender claims room for its last message and gives the claim back.
 * In each: no deadlock (a lost wake-up is one), nobody touches what is destroyed, and what was accepted is received, in order.
 * The last sender is impatient: it may give up waiting for room at any time (not in ANSWERS). */
#ifndef SENDERS
#define SENDERS 2
#endif
#ifndef MESSAGES
#define MESSAGES 2
#endif
#ifndef ROOM
#define ROOM 1
#endif

mtype = { AWAKE, ASLEEP, NEWS };            /* the receiver's state */
mtype = { OK, FULL, STOPPED, TIMED_OUT };   /* what a send answers */

byte claimed, inside;                       /* the gate: one word, changed as one */
bool closed, ended;
byte head[ROOM], slot[ROOM];                /* head: 0 before the first lap, then LAP(position), + 2 if void */
byte released, position;                    /* position: the receiver's, which it releases */
byte pending_head[SENDERS], pending_at[SENDERS]; /* a message: pending_at is its position + 1; 0: nothing in the buffer */
byte pending_released;
mtype state = AWAKE;
byte event, owed;                           /* signals: given, and to be taken by the receiver */
bool waiting;
byte moved;
bool sleeping[SENDERS];                     /* in the futex */
byte attached = SENDERS;
byte accepted, received, finished;
bool destroyed;

#define TOUCH assert(!destroyed)
#ifdef NO_LAP
#define LAP(at) 1
#else
#define LAP(at) (1 - ((at) / ROOM) % 2)
#endif
#define PUBLISHED (head[position % ROOM] % 2 == LAP(position))

#ifdef HEAD_FIRST
#define SLOT_THEN_HEAD(s) \
	head[(pending_at[s] - 1) % ROOM] = pending_head[s]; }; \
	atomic { slot[(pending_at[s] - 1) % ROOM] = pending_at[s]
#else
#define SLOT_THEN_HEAD(s) \
	slot[(pending_at[s] - 1) % ROOM] = pending_at[s]; head[(pending_at[s] - 1) % ROOM] = pending_head[s]
#endif
#define WRITE(s) atomic { pending_at[s] > 0 -> SLOT_THEN_HEAD(s); pending_at[s] = 0; pending_head[s] = 0 }

active proctype memory() {
end:
	do
	:: atomic { pending_released > 0 -> released = pending_released; pending_released = 0 }
	:: WRITE(0)
#if SENDERS > 1
	:: WRITE(1)
#endif
#if SENDERS > 2
	:: WRITE(2)
#endif
	od
}

inline wake_all_senders() {
	moved++;
	d_step {
		sleeping[0] = false;
#if SENDERS > 1
		sleeping[1] = false;
#endif
#if SENDERS > 2
		sleeping[2] = false;
#endif
	}
}

inline tell_receiver() {
	atomic { TOUCH; news_to_sleeper = (state == ASLEEP); state = NEWS }
	if
	:: news_to_sleeper -> TOUCH; event++
	:: else
	fi
}

inline close() {
	closed = true;
#ifndef CLOSE_WAKES_NO_SENDER
	wake_all_senders();
#endif
#ifndef CLOSE_FORGETS_INSIDE
	(inside == 0);
#endif
	ended = true
}

/* ------------------------------------------------------------------ senders */

inline claim(entering) {
	atomic {
		TOUCH;
		if
		:: closed -> outcome = STOPPED
		:: !closed && claimed - released < ROOM ->
			at = claimed; claimed++; inside = inside + entering; accepted++; outcome = OK
		:: !closed && claimed - released >= ROOM -> outcome = FULL
		fi
	}
}

inline publish(void_too) {
	atomic { TOUCH; pending_head[me] = LAP(at) + void_too; pending_at[me] = at + 1 }
}

inline wake_receiver() {
#ifndef NO_SENDER_FENCE
	(pending_at[me] == 0);
#endif
	atomic { TOUCH; looks_asleep = (state == ASLEEP) }
	if
	:: looks_asleep ->
		atomic {
			(pending_at[me] == 0);
			TOUCH;
			if
			:: state == ASLEEP -> state = AWAKE
			:: else -> looks_asleep = false
			fi
		}
		if
		:: looks_asleep -> TOUCH; event++
		:: else
		fi
	:: else
	fi
}

/* In the code: claims that were given back, because another channel had no room. */
inline unclaim() {
	atomic {
		TOUCH;
		accepted--;
#ifdef ROLLS_BACK_BLINDLY
		claimed--; rolled_back = true
#else
		if
		:: claimed == at + 1 -> claimed--; rolled_back = true
		:: else -> rolled_back = false
		fi
#endif
	}
	if
	:: rolled_back ->
#ifndef UNCLAIM_TELLS_NOBODY
		if
		:: waiting && claimed - released <= ROOM / 2 -> TOUCH; waiting = false; wake_all_senders()
		:: else
		fi
#endif
	:: else ->
		publish(2);
#ifndef VOID_TELLS_NOBODY
		wake_receiver()
#endif
	fi
}

inline leave() {
	atomic { pending_at[me] == 0 -> TOUCH; inside-- }
}

inline announce_waiting() {
#if defined(ANNOUNCED_BEFORE_COUNT)
	TOUCH; waiting = true; TOUCH; seen = moved; claim(0)
#elif defined(NO_WAITER_FENCE)
	TOUCH; seen = moved;
	if
	:: TOUCH; waiting = true; claim(0)
	:: claim(0); TOUCH; waiting = true
	fi
#else
	TOUCH; seen = moved; TOUCH; waiting = true; claim(0)
#endif
}

inline wait_for_room() {
	do
	:: outcome != FULL -> break
	:: else ->
		announce_waiting();
		if
		:: outcome != FULL
		:: outcome == FULL && over_time -> outcome = TIMED_OUT
		:: outcome == FULL && !over_time ->
			atomic {
				TOUCH;
				if
				:: moved == seen -> sleeping[me] = true
				:: else
				fi
			}
			if
			:: !sleeping[me]
#ifndef ANSWERS
			:: me == SENDERS - 1 -> sleeping[me] = false; over_time = true
#endif
			fi
		fi
	od
}

proctype sender(byte me) {
	byte sent, at, seen;
	mtype outcome = OK;
	bool looks_asleep, news_to_sleeper, over_time, rolled_back;
	do
	:: sent == MESSAGES || outcome == STOPPED -> break
	:: else ->
		sent++;
		over_time = false;
		claim(1);
		if
		:: outcome == FULL ->
			atomic { TOUCH; inside++; outcome = (closed -> STOPPED : FULL) }
			if
			:: outcome == FULL -> wait_for_room()
			:: else
			fi;
			if
			:: outcome == OK -> publish(0); wake_receiver()
			:: else
			fi;
			leave()
#ifdef UNCLAIM
		:: outcome == OK && me == SENDERS - 1 && sent == MESSAGES -> unclaim(); leave()
		:: outcome == OK && (me != SENDERS - 1 || sent < MESSAGES) ->
#else
		:: outcome == OK ->
#endif
#if defined(WAKE_FIRST)
			wake_receiver(); publish(0); leave()
#elif defined(LEAVE_FIRST)
			publish(0); leave(); wake_receiver()
#else
			publish(0); wake_receiver(); leave()
#endif
		:: else
		fi
	od;
#if !defined(ANSWERS) && !defined(CLOSE)
	atomic { TOUCH; inside++ }
	atomic { TOUCH; attached--; looks_asleep = (attached == 0) }
#ifndef DETACH_TELLS_NOBODY
	if
	:: looks_asleep -> tell_receiver()
	:: else
	fi;
#endif
	leave();
#endif
	finished++
}

/* ------------------------------------------------------------------ the receiver */

#if defined(CLOSE)
#if defined(OVER_BY_INSIDE)
#define OVER (closed && inside == 0)
#else
#define OVER ended
#endif
#elif defined(ANSWERS)
#define OVER (received == SENDERS * MESSAGES)
#else
#define OVER (attached == 0)
#endif

/* Announces, and looks whether there is a message. */
inline announce() {
	atomic {
		if
		:: state == NEWS -> state = AWAKE; dozing = false
		:: else -> state = ASLEEP; dozing = true
		fi
	}
}

/* A signal may come after its announcement was taken back: then it stays owed. */
inline rouse() {
#ifdef EDGES
	state = AWAKE
#else
	atomic { owed = owed + (state == ASLEEP -> 0 : 1); state = AWAKE };
	atomic { assert(event <= owed); owed = owed - event; event = 0 }
#endif
}

/* An edge is taken by the wait that it ends, or by the next. */
inline wait_for_signal() {
#ifdef EDGES_BEFORE_ARE_LOST
	event = 0;
#endif
	if
	:: event > 0
#ifdef BY_RECEIVER
	:: !ended -> close() /* its own time is over */
#endif
	fi;
#ifdef EDGES
	event = 0
#endif
}

inline doze() {
#ifdef NO_RECEIVER_FENCE
	if
	:: found = PUBLISHED; announce()
	:: announce(); found = PUBLISHED
	fi;
#else
	announce();
	found = PUBLISHED;
#endif
#ifndef NO_SECOND_LOOK
	if
	:: dozing && found -> rouse(); dozing = false
	:: else
	fi
#endif
}

proctype receiver() {
	bool over, dozing, found, news_to_sleeper;
	do
#ifdef BY_RECEIVER
	:: !ended -> close()
#endif
	:: true ->
#ifndef OVER_AFTER_LOOK
		over = OVER;
#endif
		if
		:: PUBLISHED ->
#ifdef RELEASED_FIRST
			released = position + 1;
#endif
			if
			:: head[position % ROOM] < 2 -> assert(slot[position % ROOM] == position + 1); received++
			:: else
			fi;
			position++;
			pending_released = position;
#ifndef NO_ROOM_FENCE
			(pending_released == 0);
#endif
			if
			:: waiting && claimed - position <= ROOM / 2 ->
				atomic { pending_released == 0 -> waiting = false }
				wake_all_senders()
			:: else
			fi
		:: else ->
#ifdef OVER_AFTER_LOOK
			over = OVER;
#endif
			if
			:: over -> break
			:: else -> doze();
				if
				:: dozing ->
					wait_for_signal();
					rouse()
				:: else
				fi
			fi
		fi
	od;
#ifndef CLOSE
	close();
	assert(received == accepted);
	destroyed = true;
#endif
	(finished == SENDERS);
	assert(received == accepted);
	assert(position == claimed)
}

#if defined(CLOSE) && !defined(BY_RECEIVER)
proctype closer() {
	bool news_to_sleeper;
	close();
#ifndef CLOSE_TELLS_NOBODY
	tell_receiver()
#endif
}
#endif

init {
	byte next;
	atomic {
		run receiver();
#if defined(CLOSE) && !defined(BY_RECEIVER)
		run closer();
#endif
		do
		:: next < SENDERS -> run sender(next); next++
		:: else -> break
		od
	}
}
