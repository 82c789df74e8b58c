# dalli_client.rb: Dalli against a server: HOST PORT [binary]. In its meta mode, which is all that Dalli 5 has, or in the binary
# protocol, which is all that it has before 3.2.
#
# Prints as cmocka programs do; the last line is "N passed, N failed".

require 'dalli'

HOST, PORT, PROTOCOL = ARGV
META = Dalli::VERSION.to_i < 5 && PROTOCOL != 'binary' ? { protocol: :meta } : {}
Dalli.logger.level = Logger::FATAL
CASES = {}

def test(name, &body)
  CASES[name] = body
end

def client(options = {})
  Dalli::Client.new("#{HOST}:#{PORT}", META.merge(options))
end

# Its name in Dalli before 3.1.
def quiet(cache, &block)
  cache.respond_to?(:quiet) ? cache.quiet(&block) : cache.multi(&block)
end

# What Dalli's binary mode tells where the other says false: the status, or nothing.
def refused(found)
  raise "expected a refusal, found #{found.inspect}" if found == true || (PROTOCOL != 'binary' && found != false)
end

def same(found, expected)
  raise "expected #{expected.inspect}, found #{found.inspect}" unless found == expected
end

def holds(value, what)
  raise what unless value
end

def fails(kind)
  yield
rescue kind => error
  error
else
  raise "no #{kind}"
end

test 'set and get' do |cache|
  same cache.get('key'), nil
  ['value', '', 1, 2**70, true, nil, [1, { 'a' => 2.5 }], "ÿ€", 'abc' * 50_000, "\0\r\n".b].each do |value|
    holds cache.set('key', value), 'not stored'
    same cache.get('key'), value
  end
end

test 'raw values' do |cache|
  cache.set('key', '12', 0, raw: true)
  same cache.get('key', raw: true), '12'
end

test 'add and replace' do |cache|
  refused cache.replace('key', 1)
  holds cache.add('key', 1), 'not added'
  refused cache.add('key', 2)
  holds cache.replace('key', 3), 'not replaced'
  same cache.get('key'), 3
end

test 'append and prepend' do |cache|
  same cache.append('key', 'x'), false
  same cache.prepend('key', 'x'), false
  cache.set('key', 'mid', 0, raw: true)
  same cache.append('key', '>'), true
  same cache.prepend('key', '<'), true
  same cache.get('key', raw: true), '<mid>'
end

test 'many at once' do |cache|
  values = (0...500).to_h { |number| ["key#{number}", "value#{number}" * (number % 7 + 1)] }
  cache.set_multi(values, 100) if cache.respond_to?(:set_multi)
  values.each { |key, value| cache.set(key, value) } unless cache.respond_to?(:set_multi)
  same cache.get_multi(values.keys + ['none']), values
  quiet(cache) { values.keys.first(100).each { |key| cache.delete(key) } }
  same cache.get_multi(values.keys).size, 400
  seen = 0
  cache.get_multi(*values.keys) { |_, _| seen += 1 }
  same seen, 400
end

test 'quiet commands' do |cache|
  quiet(cache) do
    300.times { |number| cache.set("key#{number}", number) }
    cache.add('key0', 7)
    cache.replace('none', 7)
    cache.delete('key1')
    cache.delete('none')
  end
  same cache.get_multi('key0', 'key1', 'key299', 'none'), { 'key0' => 0, 'key299' => 299 }
end

test 'increment and decrement' do |cache|
  same cache.incr('key', 1), nil
  same cache.incr('key', 1, 0, 10), 10
  same cache.incr('key', 5), 15
  same cache.decr('key', 100), 0
  same cache.decr('none', 1, 0, 3), 3
  cache.set('largest', (2**64 - 1).to_s, 0, raw: true)
  same cache.incr('largest'), 0
  cache.set('text', 'abc', 0, raw: true)
  fails(Dalli::DalliError) { cache.incr('text') }
  same cache.get('text', raw: true), 'abc'
end

test 'check and set' do |cache|
  same(cache.cas('key') { |_| raise 'called' }, nil)
  cache.set('key', 1)
  holds cache.cas('key') { |value| value + 1 }, 'not stored'
  same cache.get('key'), 2
  beaten = cache.cas('key') do |value|
    client.set('key', 50)
    value + 1
  end
  same beaten, false
  same cache.get('key'), 50
  value, number = cache.get_cas('key')
  holds number.positive?, 'no CAS number'
  holds cache.set_cas('key', value + 1, number), 'not stored'
  same cache.set_cas('key', 0, number), false
  same cache.replace_cas('key', 0, number), false
  same cache.delete_cas('key', number), false
  holds cache.delete_cas('key', cache.get_cas('key').last), 'not deleted'
  cache.set('a', 1)
  cache.set('b', 2)
  same(cache.get_multi_cas('a', 'b', 'c').transform_values(&:first), { 'a' => 1, 'b' => 2 })
end

test 'delete' do |cache|
  refused cache.delete('key')
  cache.set('key', 1)
  same cache.delete('key'), true
  same cache.get('key'), nil
end

test 'delete many' do |cache|
  next unless cache.respond_to?(:delete_multi)
  cache.set_multi((0...200).to_h { |number| ["key#{number}", number] })
  cache.delete_multi((0...150).map { |number| "key#{number}" } + ['none'])
  same cache.get_multi((0...200).map { |number| "key#{number}" }).size, 50
end

test 'expiry, touch, get and touch' do |cache|
  cache.set('short', 1, 1)
  cache.set('touched', 1, 1)
  cache.set('got', 1, 1)
  cache.set('month', 1, 60 * 60 * 24 * 40)
  holds cache.touch('touched', 100), 'not touched'
  same cache.touch('none', 100), nil
  same cache.gat('got', 100), 1
  same cache.gat('none', 100), nil
  sleep 2.2
  same cache.get_multi('short', 'touched', 'got', 'month'), { 'touched' => 1, 'got' => 1, 'month' => 1 }
end

test 'fetch' do |cache|
  same(cache.fetch('key', 100) { 5 }, 5)
  same(cache.fetch('key', 100) { 6 }, 5)
end

# One wins the right to make the value; the others get what is there. Needs the stale and won marks of meta get.
test 'a lock on what is made anew' do |cache|
  next unless cache.respond_to?(:fetch_with_lock)
  made = 0
  3.times { same(cache.fetch_with_lock('key', ttl: 100, lock_ttl: 10) { made += 1 }, 1) }
  same made, 1
  told = cache.get_with_metadata('key', return_hit_status: true, return_cas: true)
  same told[:value], 1
  same told[:hit_before], true
  holds told[:cas].positive?, 'no CAS number'
  first = cache.get_with_metadata('absent', vivify_ttl: 10)
  same first[:won_recache], true
  second = cache.get_with_metadata('absent', vivify_ttl: 10)
  same [second[:won_recache], second[:lost_recache]], [false, true]
end

test 'keys of all kinds' do |cache|
  ['k' * 250, 'k' * 400, 'with space', 'ÿ€ü', "line\nend", 'a:b/c?d', '日本' * 20].each_with_index do |key, number|
    cache.set(key, number)
    same cache.get(key), number
    same cache.get_multi(key).values, [number]
    same cache.delete(key), true
  end
end

test 'namespaces and compression' do |_|
  cache = client(namespace: 'space', compress: true)
  cache.set('key', 'abc' * 100_000)
  same cache.get('key'), 'abc' * 100_000
  same client.get('key'), nil
  same client(namespace: 'space').get('key'), 'abc' * 100_000
end

test 'too large' do |cache|
  cache.set('key', 'small')
  bytes = Random.new(1).bytes(2_000_000)
  begin
    same cache.set('key', bytes, 0, raw: true), false
  rescue Dalli::ValueOverMaxSize
    # Dalli's own limit.
  end
  begin
    same client(value_max_bytes: 10_000_000).set('key', bytes, 0, raw: true), false
  rescue Dalli::DalliError
    # "object too large for cache".
  end
  holds cache.set('key', 1), 'not stored'
  same cache.get('key'), 1
end

test 'flush' do |cache|
  cache.set('key', 1)
  cache.flush
  same cache.get('key'), nil
end

test 'statistics and version' do |cache|
  cache.set('key', 1)
  stats = cache.stats.values.first
  same stats['curr_items'], '1'
  holds cache.stats('items').values.first.any?, 'no items'
  holds cache.stats('slabs').values.first.any?, 'no slabs'
  holds cache.version.values.first.match?(/\A1\.6\.\d+\z/), 'no version of memcached 1.6'
  holds cache.alive!, 'not alive'
  cache.reset_stats
  same cache.stats.values.first['cmd_set'], '0'
end

test 'threads on one client' do |cache|
  threads = (0...8).map do |thread|
    Thread.new do
      100.times do |number|
        cache.set("t#{thread}-#{number}", number)
        same cache.get("t#{thread}-#{number}"), number
      end
    end
  end
  threads.each(&:join)
end

passed = 0
puts "[==========] Running #{CASES.size} test(s)."
CASES.each do |name, body|
  cache = client
  cache.flush
  body.call(cache)
  passed += 1
  puts "[       OK ] #{name}"
rescue StandardError => error
  puts "[  FAILED  ] #{name}\n#{error.class}: #{error.message[0, 500]}\n#{error.backtrace.first(8).join("\n")}"
ensure
  cache.close
end
puts "#{passed} passed, #{CASES.size - passed} failed"
exit(passed == CASES.size)
