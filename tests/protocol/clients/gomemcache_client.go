// gomemcache_client.go: github.com/bradfitz/gomemcache against a server: HOST PORT. It speaks the text protocol alone.
//
// Prints as cmocka programs do; the last line is "N passed, N failed".
package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

const patience = 2 * time.Minute // the library's own is a tenth of a second

func require(holds bool, what string, told ...any) {
	if !holds {
		panic(fmt.Sprint(append([]any{what, ": "}, told...)...))
	}
}

func succeeds(err error) {
	require(err == nil, "failed", err)
}

func failsWith(wanted, err error) {
	require(errors.Is(err, wanted), wanted.Error()+" was expected, not", err)
}

func value(client *memcache.Client, key string) string {
	item, err := client.Get(key)
	succeeds(err)
	return string(item.Value)
}

func setAndGet(client *memcache.Client) {
	_, err := client.Get("key")
	failsWith(memcache.ErrCacheMiss, err)
	for _, text := range []string{"value", "", strings.Repeat("abc", 50000), "\x00\r\n"} {
		succeeds(client.Set(&memcache.Item{Key: "key", Value: []byte(text), Flags: 7}))
		item, err := client.Get("key")
		succeeds(err)
		require(bytes.Equal(item.Value, []byte(text)) && item.Flags == 7, "another item", item.Flags)
	}
}

func addAndReplace(client *memcache.Client) {
	item := &memcache.Item{Key: "key", Value: []byte("1")}
	failsWith(memcache.ErrNotStored, client.Replace(item))
	succeeds(client.Add(item))
	failsWith(memcache.ErrNotStored, client.Add(item))
	succeeds(client.Replace(&memcache.Item{Key: "key", Value: []byte("2")}))
	require(value(client, "key") == "2", "not replaced")
}

func compareAndSwap(client *memcache.Client) {
	succeeds(client.Set(&memcache.Item{Key: "key", Value: []byte("1")}))
	first, err := client.Get("key")
	succeeds(err)
	second, err := client.Get("key")
	succeeds(err)
	first.Value = []byte("2")
	succeeds(client.CompareAndSwap(first))
	second.Value = []byte("3")
	failsWith(memcache.ErrCASConflict, client.CompareAndSwap(second))
	succeeds(client.Delete("key"))
	failsWith(memcache.ErrCacheMiss, client.CompareAndSwap(second))
}

func counters(client *memcache.Client) {
	_, err := client.Increment("count", 1)
	failsWith(memcache.ErrCacheMiss, err)
	succeeds(client.Set(&memcache.Item{Key: "count", Value: []byte("10")}))
	told, err := client.Increment("count", 5)
	require(err == nil && told == 15, "incremented", told, err)
	told, err = client.Decrement("count", 16)
	require(err == nil && told == 0, "decremented", told, err)
	succeeds(client.Set(&memcache.Item{Key: "word", Value: []byte("word")}))
	_, err = client.Increment("word", 1)
	require(err != nil && strings.Contains(err.Error(), "non-numeric"), "a word was counted", err)
}

func deleteAndFlush(client *memcache.Client) {
	failsWith(memcache.ErrCacheMiss, client.Delete("key"))
	succeeds(client.Set(&memcache.Item{Key: "key", Value: []byte("1")}))
	succeeds(client.FlushAll())
	failsWith(memcache.ErrCacheMiss, client.Delete("key"))
}

func touch(client *memcache.Client) {
	failsWith(memcache.ErrCacheMiss, client.Touch("key", 100))
	err := memcache.ErrCacheMiss
	for err == memcache.ErrCacheMiss { // on a busy machine it may have expired before it is touched
		succeeds(client.Set(&memcache.Item{Key: "key", Value: []byte("1"), Expiration: 1}))
		err = client.Touch("key", 100)
	}
	succeeds(err)
	time.Sleep(2100 * time.Millisecond)
	require(value(client, "key") == "1", "it has expired")
}

func manyAtOnce(client *memcache.Client) {
	keys := make([]string, 300)
	var all sync.WaitGroup
	for number := range keys {
		keys[number] = fmt.Sprintf("key%d", number)
		all.Add(1)
		go func(key string) {
			defer all.Done()
			if err := client.Set(&memcache.Item{Key: key, Value: []byte("of " + key)}); err != nil {
				fmt.Println(key, err)
			}
		}(keys[number])
	}
	all.Wait()
	found, err := client.GetMulti(append(keys, "missing"))
	succeeds(err)
	require(len(found) == len(keys), "found", len(found))
	for _, key := range keys {
		require(string(found[key].Value) == "of "+key, "another value", key)
	}
}

func wrongKeysAreRefused(client *memcache.Client) {
	failsWith(memcache.ErrMalformedKey, client.Set(&memcache.Item{Key: strings.Repeat("k", 251)}))
	succeeds(client.Set(&memcache.Item{Key: strings.Repeat("k", 250), Value: []byte("1")}))
	err := client.Set(&memcache.Item{Key: "large", Value: make([]byte, 2<<20)})
	require(err != nil && strings.Contains(err.Error(), "too large"), "it was taken", err)
	require(value(client, strings.Repeat("k", 250)) == "1", "another value")
}

func main() {
	cases := []struct {
		name string
		body func(*memcache.Client)
	}{
		{"set and get", setAndGet}, {"add and replace", addAndReplace}, {"compare and swap", compareAndSwap}, {"counters", counters},
		{"delete and flush", deleteAndFlush}, {"touch", touch}, {"many at once", manyAtOnce}, {"wrong keys are refused", wrongKeysAreRefused},
	}
	passed := 0
	fmt.Printf("[==========] Running %d test(s).\n", len(cases))
	for _, each := range cases {
		func() {
			client := memcache.New(net.JoinHostPort(os.Args[1], os.Args[2]))
			client.Timeout = patience
			defer func() {
				if why := recover(); why != nil {
					fmt.Printf("[  FAILED  ] %s\n%v\n", each.name, why)
					return
				}
				passed++
				fmt.Printf("[       OK ] %s\n", each.name)
			}()
			succeeds(client.FlushAll())
			each.body(client)
		}()
	}
	fmt.Printf("%d passed, %d failed\n", passed, len(cases)-passed)
	if passed < len(cases) {
		os.Exit(1)
	}
}
