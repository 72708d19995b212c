-- promote: makes due tasks ready, and cancels waiting tasks whose time is over.
--   uses   base task events notes waiting policy ending
--   input  {most tasks}
--   gives  {count of tasks, more left}
--   safe to repeat: yes
local limit, moved = input[1], 0

local function expire(task)
  unwait(task.namespace, task.q, task.y, task.g, task.id)
  end_task(task, 7, 10, nil, 5)
end

local function promote(task)
  task.s, task.sq = 3, task.sq + 1
  set(task, 'u', now)
  make_ready(task.namespace, task.q, task.y, task.g, task.p, task.d, task.id)
  set_timer(task.namespace, task.q, 3, waiting_timer(3, 0, task.ts, task.tt), task.id)
  emit(task.namespace, task.q, task.y, task.id, event(2, task.sq, 3, 0, 0, task.a))
end

local function promote_set(namespace, key)
  for _, id in ipairs(call('ZRANGEBYSCORE', key, '-inf', digits(now), 'LIMIT', 0, limit)) do
    limit = limit - 1
    local task = read_task(namespace, id)
    call('ZREM', key, id)
    if task and task.s == 2 and task.d <= now and not (task.tt and task.tt <= now) then
      promote(task)
      moved = moved + 1
    elseif task and (task.s == 2 or task.s == 3) then
      expire(task)
      moved = moved + 1
    end
  end
end

local function first_of(key)
  local first = call('ZRANGE', key, 0, 0, 'WITHSCORES')
  return tonumber(first[2]) or math.huge
end

local visited = {}
for _, name in ipairs(call('ZRANGEBYSCORE', key_due_queues(), '-inf', digits(now), 'LIMIT', 0, 1000)) do
  if limit <= 0 then break end
  local namespace, queue = string.match(name, '^([^:]+):(.+)$')
  local q = queue_of(namespace, queue)
  if q then
    visited[name] = {key_due(namespace, queue, q.epoch), key_expiring(namespace, queue, q.epoch)}
    promote_set(namespace, visited[name][1])
    if limit > 0 then promote_set(namespace, visited[name][2]) end
  else
    -- It went with its namespace, which held nothing any more.
    call('ZREM', key_due_queues(), name)
  end
end
-- The index is set before what was made ready brings its own timers.
for name, keys in pairs(visited) do
  local first = math.min(first_of(keys[1]), first_of(keys[2]))
  if first == math.huge then call('ZREM', key_due_queues(), name) else call('ZADD', key_due_queues(), digits(first), name) end
end
write_all()
return cmsgpack.pack({moved, limit <= 0 and 1 or 0})
