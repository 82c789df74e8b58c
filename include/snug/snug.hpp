/* snug/snug.hpp: the library in C++17, without a line of its own to link.
 *
 *     auto cache = snug::cache::create(256 << 20, 2).or_throw(); // bytes for everything, workers
 *     auto client = cache.client().or_throw();                   // one for each thread
 *     client.set("name", "value").or_throw();
 *     snug::result<std::string> found = client.get("name");
 *     if (found) std::printf("%s\n", found->c_str());
 *
 * What is made is destroyed with its object: heap, object, pin, shard, cache, client, workers,
 * worker_client. All of them move, and none copies. What was made of another one goes first: pins
 * before objects, objects before their heap, clients before their cache or workers.
 *
 * ERRORS are values: snug::error, or snug::result<T>, which is a T or an error, and which the
 * compiler warns of if it is dropped. Nothing here throws but or_throw, which exists where
 * exceptions do, and what std::string and std::vector throw when the process has no memory.
 * close() tells what a destructor cannot.
 *
 * THREADS are those of the C headers, which say what each call costs and answers: a heap or shard
 * belongs to the thread that made it; a client to one thread at a time; a cache and workers to all.
 *
 * get() gives the pointer of C, for all that is not here. */
#ifndef SNUG_HPP
#define SNUG_HPP

#include <snug/snug.h>

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>
#if defined __cpp_exceptions
#include <exception>
#include <stdexcept>
#endif

namespace snug {

/* ------------------------------------------------------------------ errors -------------------- */

/* Those of snug/error.h, in its order. */
enum class [[nodiscard]] error{
	ok = SNUG_OK,
	null = SNUG_ERROR_NULL,
	option = SNUG_ERROR_OPTION,
	limit_too_small = SNUG_ERROR_LIMIT_TOO_SMALL,
	size_zero = SNUG_ERROR_SIZE_ZERO,
	size_too_large = SNUG_ERROR_SIZE_TOO_LARGE,
	no_memory = SNUG_ERROR_NO_MEMORY,
	os_memory = SNUG_ERROR_OS_MEMORY,
	handle = SNUG_ERROR_HANDLE,
	reference = SNUG_ERROR_REFERENCE,
	range = SNUG_ERROR_RANGE,
	pinned = SNUG_ERROR_PINNED,
	not_pinned = SNUG_ERROR_NOT_PINNED,
	too_many_pins = SNUG_ERROR_TOO_MANY_PINS,
	not_contiguous = SNUG_ERROR_NOT_CONTIGUOUS,
	too_many_extents = SNUG_ERROR_TOO_MANY_EXTENTS,
	alignment = SNUG_ERROR_ALIGNMENT,
	mode = SNUG_ERROR_MODE,
	wrong_thread = SNUG_ERROR_WRONG_THREAD,
	reentered = SNUG_ERROR_REENTERED,
	busy = SNUG_ERROR_BUSY,
	not_running = SNUG_ERROR_NOT_RUNNING,
	budget_zero = SNUG_ERROR_BUDGET_ZERO,
	corrupt = SNUG_ERROR_CORRUPT,
	in_use = SNUG_ERROR_IN_USE,
	write = SNUG_ERROR_WRITE,
	os_thread = SNUG_ERROR_OS_THREAD,
	worker = SNUG_ERROR_WORKER,
	ticket = SNUG_ERROR_TICKET,
	queue_full = SNUG_ERROR_QUEUE_FULL,
	timed_out = SNUG_ERROR_TIMED_OUT,
	stopped = SNUG_ERROR_STOPPED,
	cancelled = SNUG_ERROR_CANCELLED,
	schedule = SNUG_ERROR_SCHEDULE,
	goal = SNUG_ERROR_GOAL,
	key = SNUG_ERROR_KEY,
	not_found = SNUG_ERROR_NOT_FOUND,
	not_stored = SNUG_ERROR_NOT_STORED,
	exists = SNUG_ERROR_EXISTS,
	not_a_number = SNUG_ERROR_NOT_A_NUMBER,
	buffer_too_small = SNUG_ERROR_BUFFER_TOO_SMALL,
	version = SNUG_ERROR_VERSION,
	file = SNUG_ERROR_FILE,
	file_system = SNUG_ERROR_FILE_SYSTEM,
	layout = SNUG_ERROR_LAYOUT,
	unclean = SNUG_ERROR_UNCLEAN,
	loader = SNUG_ERROR_LOADER,
	cycle = SNUG_ERROR_CYCLE,
};

inline error from(snug_error code) noexcept {
	return static_cast<error>(code);
}
inline snug_error code(error what) noexcept {
	return static_cast<snug_error>(what);
}
/* A sentence without a full stop; lasts for ever. */
inline const char *text(error what) noexcept {
	return snug_error_text(code(what));
}

#if defined __cpp_exceptions
class exception : public std::runtime_error {
  public:
	explicit exception(error what) : std::runtime_error(text(what)), error_(what) {
	}
	error code() const noexcept {
		return error_;
	}

  private:
	error error_;
};
#endif

/* A T, or why there is none; of void: whether it was done. */
template <class T> class [[nodiscard]] result {
  public:
	result(T value) : value_(std::move(value)) {
	}
	result(snug::error why) noexcept : error_(why) {
		assert(why != snug::error::ok);
	}

	explicit operator bool() const noexcept {
		return value_.has_value();
	}
	/* ok if there is a T */
	snug::error error() const noexcept {
		return error_;
	}
	/* The T, which must be there. */
	T &operator*() &noexcept {
		return *checked();
	}
	const T &operator*() const &noexcept {
		return *checked();
	}
	T &&operator*() &&noexcept {
		return std::move(*checked());
	}
	T *operator->() noexcept {
		return &*checked();
	}
	const T *operator->() const noexcept {
		return &*checked();
	}
	T value_or(T other) && {
		return value_ ? std::move(*value_) : std::move(other);
	}
#if defined __cpp_exceptions
	T or_throw() && {
		if (!value_) throw exception(error_);
		return std::move(*value_);
	}
#endif

  private:
	std::optional<T> &checked() noexcept {
		assert(value_);
		return value_;
	}
	const std::optional<T> &checked() const noexcept {
		assert(value_);
		return value_;
	}
	std::optional<T> value_;
	snug::error error_ = snug::error::ok;
};

template <> class [[nodiscard]] result<void> {
  public:
	result(snug::error how) noexcept : error_(how) {
	}
	result(snug_error how) noexcept : error_(from(how)) {
	}

	explicit operator bool() const noexcept {
		return error_ == snug::error::ok;
	}
	snug::error error() const noexcept {
		return error_;
	}
#if defined __cpp_exceptions
	void or_throw() const {
		if (error_ != snug::error::ok) throw exception(error_);
	}
#endif

  private:
	snug::error error_;
};

/* ------------------------------------------------------------------ bytes --------------------- */

/* Bytes to be read, which stay the caller's: of a string, of std::span, std::vector, std::array of
 * plain values, or an address and a length. */
class bytes {
  public:
	bytes() noexcept = default;
	bytes(const void *data, std::size_t size) noexcept : data_(data), size_(size) {
	}
	bytes(std::string_view text) noexcept : data_(text.data()), size_(text.size()) {
	}
	bytes(const char *text) noexcept : bytes(std::string_view(text)) {
	}
	bytes(const std::string &text) noexcept : bytes(std::string_view(text)) {
	}
	template <class C, class V = std::remove_pointer_t<decltype(std::declval<const C &>().data())>,
			  class = std::enable_if_t<std::is_trivially_copyable_v<V>>,
			  class = decltype(std::declval<const C &>().size())>
	bytes(const C &values) noexcept : data_(values.data()), size_(values.size() * sizeof(V)) {
	}

	const void *data() const noexcept {
		return data_;
	}
	std::size_t size() const noexcept {
		return size_;
	}

  private:
	const void *data_ = nullptr;
	std::size_t size_ = 0;
};

/* Room to be written into. */
class room {
  public:
	room() noexcept = default;
	room(void *data, std::size_t size) noexcept : data_(data), size_(size) {
	}
	template <class C, class V = std::remove_pointer_t<decltype(std::declval<C &>().data())>,
			  class = std::enable_if_t<std::is_trivially_copyable_v<V> && !std::is_const_v<V>>,
			  class = decltype(std::declval<C &>().size())>
	room(C &values) noexcept : data_(values.data()), size_(values.size() * sizeof(V)) {
	}

	void *data() const noexcept {
		return data_;
	}
	std::size_t size() const noexcept {
		return size_;
	}

  private:
	void *data_ = nullptr;
	std::size_t size_ = 0;
};

namespace detail {
/* Destroys as C does; what a destructor is answered it cannot tell. */
template <class T, snug_error (*destroy)(T *)> struct destroyer {
	void operator()(T *made) const noexcept {
		(void)!destroy(made);
	}
};
template <class T, snug_error (*destroy)(T *)>
using owned = std::unique_ptr<T, destroyer<T, destroy>>;

/* Gives it up only if it was destroyed: what is refused stays. */
template <class P> result<void> close(P &owner, snug_error (*destroy)(typename P::element_type *)) {
	snug_error answer = destroy(owner.get());
	if (answer == SNUG_OK) (void)owner.release();
	return answer;
}
} // namespace detail

/* ------------------------------------------------------------------ heap ---------------------- */

class heap;

/* An object stays where it is while one of its pins lives. */
class [[nodiscard]] pin {
  public:
	pin(pin &&other) noexcept : heap_(std::exchange(other.heap_, nullptr)), handle_(other.handle_) {
	}
	pin &operator=(pin &&other) noexcept {
		std::swap(heap_, other.heap_);
		std::swap(handle_, other.handle_);
		return *this;
	}
	~pin() {
		if (heap_ != nullptr) (void)!snug_unpin(heap_, handle_);
	}

	/* The address of a contiguous object. NOT_CONTIGUOUS. */
	result<void *> address() const noexcept {
		void *found = nullptr;
		snug_error answer = snug_ptr(heap_, handle_, &found);
		if (answer != SNUG_OK) return from(answer);
		return found;
	}
	/* Its pieces, in order. */
	result<std::vector<snug_extent>> extents() const {
		std::size_t count = 0, size = 0;
		snug_error answer = snug_size(heap_, handle_, &size);
		if (answer == SNUG_OK) answer = snug_extent_count(heap_, handle_, &count);
		if (answer != SNUG_OK) return from(answer);
		std::vector<snug_extent> made(count);
		answer = snug_view(heap_, handle_, 0, size, made.data(), &count);
		if (answer != SNUG_OK) return from(answer);
		made.resize(count);
		return made;
	}

  private:
	friend class object;
	pin(snug_heap *heap, snug_handle handle) noexcept : heap_(heap), handle_(handle) {
	}
	snug_heap *heap_;
	snug_handle handle_;
};

/* An object of a heap; freed with this. One that is pinned cannot be freed: end its pins first. */
class [[nodiscard]] object {
  public:
	object(object &&other) noexcept : heap_(other.heap_), handle_(std::exchange(other.handle_, 0)) {
	}
	object &operator=(object &&other) noexcept {
		std::swap(heap_, other.heap_);
		std::swap(handle_, other.handle_);
		return *this;
	}
	~object() {
		if (handle_ != 0) (void)!snug_free(heap_, handle_);
	}

	snug_handle handle() const noexcept {
		return handle_;
	}
	/* The handle, which is the caller's to free. */
	snug_handle release() noexcept {
		return std::exchange(handle_, 0);
	}
	/* Frees it now. PINNED: it is as it was. */
	result<void> free() noexcept {
		snug_error answer = snug_free(heap_, handle_);
		if (answer == SNUG_OK) handle_ = 0;
		return answer;
	}

	result<std::size_t> size() const noexcept {
		std::size_t size = 0;
		snug_error answer = snug_size(heap_, handle_, &size);
		if (answer != SNUG_OK) return from(answer);
		return size;
	}
	result<void> resize(std::size_t size) noexcept {
		return snug_resize(heap_, handle_, size);
	}
	result<void> write(bytes data, std::size_t offset = 0) noexcept {
		return snug_write(heap_, handle_, offset, data.data(), data.size());
	}
	/* Fills the room. */
	result<void> read(room into, std::size_t offset = 0) const noexcept {
		return snug_read(heap_, handle_, offset, into.data(), into.size());
	}
	/* All of it. */
	result<std::string> string() const {
		result<std::size_t> bytes = size();
		if (!bytes) return bytes.error();
		std::string made(*bytes, '\0');
		snug_error answer = snug_read(heap_, handle_, 0, made.data(), made.size());
		if (answer != SNUG_OK) return from(answer);
		return made;
	}
	result<snug::pin> pin() const noexcept {
		snug_error answer = snug_pin(heap_, handle_);
		if (answer != SNUG_OK) return from(answer);
		return snug::pin(heap_, handle_);
	}

  private:
	friend class heap;
	object(snug_heap *heap, snug_handle handle) noexcept : heap_(heap), handle_(handle) {
	}
	snug_heap *heap_;
	snug_handle handle_;
};

/* Of snug/heap.h, by handle. */
class [[nodiscard]] heap {
  public:
	static result<heap> create(const snug_heap_options &options) {
		snug_heap *made = nullptr;
		snug_error answer = snug_heap_create(&options, &made);
		if (answer != SNUG_OK) return from(answer);
		return heap(made);
	}
	static result<heap> create(std::size_t limit_bytes) {
		snug_heap_options options = snug_heap_options_default();
		options.limit_bytes = limit_bytes;
		return create(options);
	}
	/* WRONG_THREAD, and nothing done. */
	result<void> close() noexcept {
		return detail::close(heap_, snug_heap_destroy);
	}
	snug_heap *get() const noexcept {
		return heap_.get();
	}

	/* Of undefined content. */
	result<object> alloc(std::size_t size) noexcept {
		snug_handle handle = 0;
		snug_error answer = snug_alloc(get(), size, &handle);
		if (answer != SNUG_OK) return from(answer);
		return object(get(), handle);
	}
	/* With these bytes. */
	result<object> alloc(bytes data) noexcept {
		result<object> made = alloc(data.size());
		if (!made) return made;
		result<void> written = made->write(data);
		if (!written) return written.error();
		return made;
	}
	/* For a handle that was released. */
	object adopt(snug_handle handle) noexcept {
		return object(get(), handle);
	}

	result<snug_estimate_report> estimate(
		const snug_defragment_options &options = snug_defragment_options_default()) const noexcept {
		snug_estimate_report report{};
		snug_error answer = snug_estimate(get(), &options, &report);
		if (answer != SNUG_OK) return from(answer);
		return report;
	}
	result<snug_report> defragment(
		const snug_defragment_options &options = snug_defragment_options_default()) noexcept {
		snug_report report{};
		snug_error answer = snug_defragment(get(), &options, &report);
		if (answer != SNUG_OK) return from(answer);
		return report;
	}
	result<snug_stats> stats() const noexcept {
		snug_stats stats{};
		snug_error answer = snug_stats_get(get(), &stats);
		if (answer != SNUG_OK) return from(answer);
		return stats;
	}
	result<void> set_limit(std::size_t bytes) noexcept {
		return snug_heap_set_limit(get(), bytes);
	}

  private:
	explicit heap(snug_heap *made) noexcept : heap_(made) {
	}
	detail::owned<snug_heap, snug_heap_destroy> heap_;
};

/* ------------------------------------------------------------------ a cache in one thread ----- */

/* Of snug/shard.h. */
class [[nodiscard]] shard {
  public:
	static result<shard> create(const snug_shard_options &options) {
		snug_shard *made = nullptr;
		snug_error answer = snug_shard_create(&options, &made);
		if (answer != SNUG_OK) return from(answer);
		return shard(made);
	}
	static result<shard> create(std::size_t limit_bytes) {
		snug_shard_options options = snug_shard_options_default();
		options.heap.limit_bytes = limit_bytes;
		return create(options);
	}
	result<void> close() noexcept {
		return detail::close(shard_, snug_shard_destroy);
	}
	snug_shard *get() const noexcept {
		return shard_.get();
	}
	/* Seconds since 1970 by the clock that expiries go by. */
	std::int64_t now_s() const noexcept {
		return snug_shard_now_s(get());
	}

	result<void> set(bytes key, bytes value, const snug_attributes &attributes = {}) noexcept {
		snug_key made = snug_shard_key(key.data(), key.size());
		return snug_shard_set(get(), &made, &attributes, value.data(), value.size());
	}
	/* A copy of the value. NOT_FOUND. */
	result<std::string> get(bytes key) {
		snug_key made = snug_shard_key(key.data(), key.size());
		snug_item item;
		snug_error answer = snug_shard_get(get(), &made, &item);
		if (answer != SNUG_OK) return from(answer);
		std::string value(item.value_bytes, '\0');
		answer = snug_shard_read(get(), &item, 0, value.data(), value.size());
		if (answer != SNUG_OK) return from(answer);
		return value;
	}
	result<void> erase(bytes key) noexcept {
		snug_key made = snug_shard_key(key.data(), key.size());
		return snug_shard_delete(get(), &made);
	}
	/* A slice of what is to be done beside serving; whether there is more to do now. */
	bool maintain() noexcept {
		return snug_shard_maintain(get());
	}
	result<snug_shard_stats> stats() const noexcept {
		snug_shard_stats stats{};
		snug_error answer = snug_shard_stats_get(get(), &stats);
		if (answer != SNUG_OK) return from(answer);
		return stats;
	}

  private:
	explicit shard(snug_shard *made) noexcept : shard_(made) {
	}
	detail::owned<snug_shard, snug_shard_destroy> shard_;
};

/* ------------------------------------------------------------------ a cache for threads ------- */

/* What is stored beside a value. */
struct storing {
	std::uint32_t client_flags = 0;
	std::uint32_t expires_at_s = 0; /* the second since 1970; 0: never */
	std::uint64_t cas = 0;          /* only if the item has this number; 0: whatever it has */
};

/* A value as it was found, and what is stored beside it. */
struct found {
	std::string value;
	std::uint32_t client_flags;
	std::uint32_t expires_at_s;
	std::uint64_t cas;
};

/* How client.get_or_load loads: as snug_cache_load_options. */
struct loading {
	std::uint32_t fresh_s = 0;  /* seconds; 0: for ever */
	std::uint32_t stale_s = 0;  /* after that, while another thread loads it anew */
	std::uint32_t absent_s = 0; /* that there is none; 0: not remembered */
	std::uint32_t client_flags = 0;
	std::uint64_t wait_ns = snug_cache_load_options_default().wait_ns;
};

/* An item that a walk meets; key and value are copies that go when the visit returns. */
struct met {
	std::string_view key;
	std::string_view value;
	std::uint32_t client_flags;
	std::uint32_t expires_at_s;
};

namespace detail {
/* What is thrown in a callback waits until the C library has returned. */
class thrown {
  public:
	template <class F> void guard(F &&call) noexcept {
#if defined __cpp_exceptions
		try {
			call();
		} catch (...) {
			what_ = std::current_exception();
		}
#else
		call();
#endif
	}
	bool is() const noexcept {
#if defined __cpp_exceptions
		return what_ != nullptr;
#else
		return false;
#endif
	}
	void rethrow() const {
#if defined __cpp_exceptions
		if (what_) std::rethrow_exception(what_);
#endif
	}

#if defined __cpp_exceptions
  private:
	std::exception_ptr what_;
#endif
};

/* One call of get_or_load, and what its own loader has made, if it was called. */
template <class F> class loader {
  public:
	loader(F &load, std::uint32_t client_flags) noexcept : load_(load), flags_(client_flags) {
	}
	static int call(void *context, snug_cache_client *, const void *key, std::size_t key_bytes,
					snug_cache_loaded *out) noexcept {
		auto *own = static_cast<loader *>(context);
		own->was_called_ = true;
		own->thrown_.guard([&] {
			own->made_ = own->load_(std::string_view(static_cast<const char *>(key), key_bytes));
		});
		if (own->thrown_.is()) return static_cast<int>(error::loader);
		out->is_absent = own->made_.error() == error::not_found;
		out->client_flags = own->flags_;
		if (own->made_) {
			out->value = own->made_->data();
			out->value_bytes = own->made_->size();
		}
		return own->made_ || out->is_absent ? 0 : static_cast<int>(own->made_.error());
	}
	bool was_called() const noexcept {
		return was_called_;
	}
	/* What it threw comes out here. */
	result<std::string> made() {
		thrown_.rethrow();
		return std::move(made_);
	}

  private:
	std::remove_reference_t<F> &load_;
	std::uint32_t flags_;
	bool was_called_ = false;
	result<std::string> made_{error::loader};
	thrown thrown_;
};

template <class F> class walking {
  public:
	explicit walking(F &visit) noexcept : visit_(visit) {
	}
	static void show(void *context, const snug_cache_item *item) noexcept {
		auto *own = static_cast<walking *>(context);
		if (own->is_ended()) return;
		own->thrown_.guard([&] { own->show_one(*item); });
	}
	bool is_ended() const noexcept {
		return ended_ || thrown_.is();
	}
	void rethrow() const {
		thrown_.rethrow();
	}

  private:
	void show_one(const snug_cache_item &item) {
		met one{{static_cast<const char *>(item.key), item.key_bytes},
				{static_cast<const char *>(item.bytes), item.value.bytes},
				item.value.client_flags,
				item.value.expires_at_s};
		if constexpr (std::is_same_v<decltype(visit_(one)), bool>)
			ended_ = !visit_(one);
		else
			visit_(one);
	}
	std::remove_reference_t<F> &visit_;
	bool ended_ = false;
	thrown thrown_;
};
} // namespace detail

class cache;

/* A thread's way to a cache: one thread at a time. */
class [[nodiscard]] client {
  public:
	/* Waits for what is late. */
	result<void> close() noexcept {
		return detail::close(client_, snug_cache_client_destroy);
	}
	snug_cache_client *get() const noexcept {
		return client_.get();
	}

	/* A copy of the value. NOT_FOUND. */
	result<std::string> get(bytes key) {
		snug_cache_value value{};
		return copy(snug_cache_get, key, value);
	}
	/* The same with its flags, its expiry and its CAS number. */
	result<found> gets(bytes key) {
		snug_cache_value value{};
		result<std::string> copied = copy(snug_cache_gets, key, value);
		if (!copied) return copied.error();
		return found{*std::move(copied), value.client_flags, value.expires_at_s, value.cas};
	}
	/* Into the caller's room, without an allocation. BUFFER_TOO_SMALL: `out.bytes` is the room that
	 * it needs. */
	result<void> get(bytes key, room into, snug_cache_value &out) noexcept {
		return snug_cache_get(get(), key.data(), key.size(), into.data(), into.size(), &out);
	}
	/* A copy of the value, which `load` loads where it is missing or stale: it takes the key, a
	 * std::string_view, and returns a std::string or an error; not_found: there is none. One thread
	 * loads a key, and the others wait for it, or have the stale value. Where its loader fails the
	 * loading thread has its error, or what it throws; those who wait have error::loader. All that is
	 * promised: snug_cache_get_or_load. */
	template <class F>
	result<std::string> get_or_load(bytes key, F &&load, const loading &with = {}) {
		std::string made(size_t{256}, '\0');
		snug_cache_load_options options = snug_cache_load_options_default();
		options.load = detail::loader<F>::call;
		options.fresh_s = with.fresh_s;
		options.stale_s = with.stale_s;
		options.absent_s = with.absent_s;
		options.wait_ns = with.wait_ns;
		for (;;) {
			detail::loader<F> loader(load, with.client_flags);
			snug_cache_loading told{};
			options.context = &loader;
			snug_error answer = snug_cache_get_or_load(get(), key.data(), key.size(), made.data(),
													   made.size(), &options, &told);
			if (loader.was_called()) return loader.made();
			if (answer != SNUG_OK && answer != SNUG_ERROR_BUFFER_TOO_SMALL) return from(answer);
			made.resize(told.value.bytes);
			if (answer == SNUG_OK) return made;
		}
	}
	/* Several at once; each has its own error. */
	result<void> get_many(snug_cache_lookup *lookups, std::size_t count) noexcept {
		return snug_cache_get_many(get(), lookups, count);
	}

	result<void> set(bytes key, bytes value, const storing &with = {}) noexcept {
		return store(snug_cache_set, key, value, with);
	}
	/* Without waiting: wait() tells how it ended. */
	result<void> set_later(bytes key, bytes value, const storing &with = {}) noexcept {
		return store(snug_cache_set_later, key, value, with);
	}
	result<snug_cache_late> wait() noexcept {
		snug_cache_late late{};
		snug_error answer = snug_cache_wait(get(), &late);
		if (answer != SNUG_OK) return from(answer);
		return late;
	}
	/* Only if there is none; only if there is one. NOT_STORED. */
	result<void> add(bytes key, bytes value, const storing &with = {}) noexcept {
		return store(snug_cache_add, key, value, with);
	}
	result<void> replace(bytes key, bytes value, const storing &with = {}) noexcept {
		return store(snug_cache_replace, key, value, with);
	}
	result<void> append(bytes key, bytes value) noexcept {
		return snug_cache_append(get(), key.data(), key.size(), value.data(), value.size());
	}
	result<void> prepend(bytes key, bytes value) noexcept {
		return snug_cache_prepend(get(), key.data(), key.size(), value.data(), value.size());
	}
	/* NOT_FOUND. */
	result<void> erase(bytes key) noexcept {
		return snug_cache_delete(get(), key.data(), key.size());
	}
	result<void> touch(bytes key, std::uint32_t expires_at_s) noexcept {
		return snug_cache_touch(get(), key.data(), key.size(), expires_at_s);
	}
	/* What it is then. NOT_FOUND, NOT_A_NUMBER. */
	result<std::uint64_t> increment(bytes key, std::uint64_t delta = 1) noexcept {
		return count(snug_cache_increment, key, delta);
	}
	result<std::uint64_t> decrement(bytes key, std::uint64_t delta = 1) noexcept {
		return count(snug_cache_decrement, key, delta);
	}
	result<void> flush() noexcept {
		return snug_cache_flush(get());
	}
	/* All items, one after the other, on this thread: `visit` takes a snug::met. Where it returns a
	 * bool, false ends the walk. What it throws comes out of here. What is promised about items that
	 * change meanwhile: snug_cache_walk. */
	template <class F> result<void> walk(F &&visit) {
		detail::walking<F> walking(visit);
		snug_cache_cursor cursor{};
		snug_error answer = SNUG_OK;
		while (answer == SNUG_OK && !cursor.is_at_end && !walking.is_ended())
			answer = snug_cache_walk(get(), &cursor, detail::walking<F>::show, &walking);
		walking.rethrow();
		return answer;
	}

	result<void> set_timeout(std::uint64_t timeout_ns) noexcept {
		return snug_cache_client_set_timeout(get(), timeout_ns);
	}
	result<void> set_limit(std::size_t bytes) noexcept {
		return snug_cache_set_limit(get(), bytes);
	}
	/* Of the first `count` namespaces, in the order of the options. RANGE: there are not so many. */
	result<std::vector<snug_cache_namespace_stats>> namespaces(std::size_t count,
															   bool counts_items) {
		std::vector<snug_cache_namespace_stats> stats(count);
		snug_error answer =
			snug_cache_namespace_stats_get(get(), counts_items, stats.data(), count);
		if (answer != SNUG_OK) return from(answer);
		return stats;
	}
	result<snug_cache_stats> stats() noexcept {
		snug_cache_stats stats{};
		snug_error answer = snug_cache_stats_get(get(), &stats);
		if (answer != SNUG_OK) return from(answer);
		return stats;
	}

  private:
	friend class cache;
	explicit client(snug_cache_client *made) noexcept : client_(made) {
	}

	/* Comes again with more room while the value is larger. */
	template <class F> result<std::string> copy(F look, bytes key, snug_cache_value &value) {
		std::string made(size_t{256}, '\0');
		for (;;) {
			snug_error answer =
				look(get(), key.data(), key.size(), made.data(), made.size(), &value);
			if (answer != SNUG_OK && answer != SNUG_ERROR_BUFFER_TOO_SMALL) return from(answer);
			made.resize(value.bytes);
			if (answer == SNUG_OK) return made;
		}
	}
	template <class F>
	result<void> store(F how, bytes key, bytes value, const storing &with) noexcept {
		snug_cache_store_options options = snug_cache_store_options_default();
		options.client_flags = with.client_flags;
		options.expires_at_s = with.expires_at_s;
		options.cas = with.cas;
		return how(get(), key.data(), key.size(), value.data(), value.size(), &options);
	}
	template <class F> result<std::uint64_t> count(F how, bytes key, std::uint64_t delta) noexcept {
		std::uint64_t made = 0;
		snug_error answer = how(get(), key.data(), key.size(), delta, &made);
		if (answer != SNUG_OK) return from(answer);
		return made;
	}
	detail::owned<snug_cache_client, snug_cache_client_destroy> client_;
};

/* Of snug/cache.h; all threads. */
class [[nodiscard]] cache {
  public:
	static result<cache> create(const snug_cache_options &options) {
		snug_cache *made = nullptr;
		snug_error answer = snug_cache_create(&options, &made);
		if (answer != SNUG_OK) return from(answer);
		return cache(made);
	}
	static result<cache> create(std::size_t limit_bytes, std::uint32_t workers = 1) {
		snug_cache_options options = snug_cache_options_default();
		options.limit_bytes = limit_bytes;
		options.workers = workers;
		return create(options);
	}
	/* IN_USE, and nothing done: it has clients. A destructor that meets clients leaves it to the
	 * process: end them first. */
	result<void> close() noexcept {
		return detail::close(cache_, snug_cache_destroy);
	}
	snug_cache *get() const noexcept {
		return cache_.get();
	}

	/* For the calling thread, or another one. */
	result<snug::client> client() const {
		snug_cache_client *made = nullptr;
		snug_error answer = snug_cache_client_create(get(), nullptr, &made);
		if (answer != SNUG_OK) return from(answer);
		return snug::client(made);
	}
	/* For a coordinator; they stay the cache's. */
	snug_workers *workers() const noexcept {
		return snug_cache_workers(get());
	}

  private:
	explicit cache(snug_cache *made) noexcept : cache_(made) {
	}
	detail::owned<snug_cache, snug_cache_destroy> cache_;
};

/* ------------------------------------------------------------------ workers ------------------- */

/* A thread's way to objects on workers' heaps: one thread at a time. */
class [[nodiscard]] worker_client {
  public:
	/* IN_USE, and nothing done: results have not been taken. */
	result<void> close() noexcept {
		return detail::close(client_, snug_client_destroy);
	}
	snug_client *get() const noexcept {
		return client_.get();
	}

	std::uint32_t place(bytes key) const noexcept {
		return snug_client_place(get(), key.data(), key.size());
	}
	result<snug_object> alloc(std::uint32_t worker, bytes data) noexcept {
		snug_object made{};
		snug_error answer =
			snug_client_alloc(get(), worker, data.size(), data.data(), data.size(), &made);
		if (answer != SNUG_OK) return from(answer);
		return made;
	}
	result<void> free(snug_object what) noexcept {
		return snug_client_free(get(), what);
	}
	result<void> read(snug_object what, room into, std::size_t offset = 0) noexcept {
		return snug_client_read(get(), what, offset, into.data(), into.size());
	}
	result<void> write(snug_object what, bytes data, std::size_t offset = 0) noexcept {
		return snug_client_write(get(), what, offset, data.data(), data.size());
	}
	result<std::size_t> size(snug_object what) noexcept {
		std::size_t size = 0;
		snug_error answer = snug_client_size(get(), what, &size);
		if (answer != SNUG_OK) return from(answer);
		return size;
	}

  private:
	friend class workers;
	explicit worker_client(snug_client *made) noexcept : client_(made) {
	}
	detail::owned<snug_client, snug_client_destroy> client_;
};

/* Of snug/workers.h; all threads. */
class [[nodiscard]] workers {
  public:
	static result<workers> create(const snug_workers_options &options) {
		snug_workers *made = nullptr;
		snug_error answer = snug_workers_create(&options, &made);
		if (answer != SNUG_OK) return from(answer);
		return workers(made);
	}
	result<void> stop(std::uint64_t timeout_ns = SNUG_FOREVER) noexcept {
		return snug_workers_stop(get(), timeout_ns);
	}
	/* IN_USE, and nothing done: clients or a coordinator exist. */
	result<void> close() noexcept {
		return detail::close(workers_, snug_workers_destroy);
	}
	snug_workers *get() const noexcept {
		return workers_.get();
	}

	result<worker_client> client() const {
		snug_client *made = nullptr;
		snug_error answer = snug_client_create(get(), nullptr, &made);
		if (answer != SNUG_OK) return from(answer);
		return worker_client(made);
	}

  private:
	explicit workers(snug_workers *made) noexcept : workers_(made) {
	}
	detail::owned<snug_workers, snug_workers_destroy> workers_;
};

} // namespace snug

#endif
