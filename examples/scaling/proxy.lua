-- Three snugd behind memcached's own proxy: clients speak to it as to one memcached, text and meta.
--
--     memcached -p 22122 -o proxy_config=routelib,proxy_arg=examples/scaling/proxy.lua
--
-- A key's node is chosen by a consistent hash of its key over the list. What that node cannot answer goes to the next in the list, and then to the next:
-- no key is without a node while one is up. A new node is put at the end, for then few keys move; a dead one keeps its place.
settings{
    backend_connect_timeout = 1,
    backend_read_timeout = 1,
    backend_retry_waittime = 3, -- seconds until a node that failed is tried again
    backend_failure_limit = 2,
    -- backend_use_tls = true, -- see docs/scaling.md
}

local nodes = { "127.0.0.1:11311", "127.0.0.1:11312", "127.0.0.1:11313" }

-- The same list, begun further down: the same hash finds the next node.
local function begun_at(first)
    local list = {}
    for i = 1, #nodes do
        list[i] = nodes[(first + i - 2) % #nodes + 1]
    end
    return list
end

pools{
    own = { backends = nodes },
    next = { backends = begun_at(2) },
    last = { backends = begun_at(3) },
}

-- What is stored away from its own node stays for five minutes at most: later, when that node is back, it is not the newest.
local function store()
    return route_failover{
        children = { "own", route_ttl{ ttl = 300, child = "next" }, route_ttl{ ttl = 300, child = "last" } },
    }
end

routes{
    cmap = { set = store(), add = store(), cas = store(), ms = store() },
    default = route_failover{ children = { "own", "next", "last" } },
}
