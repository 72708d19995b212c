-- waiting: puts tasks into a queue's ready and due sets, and takes them out again.
local queues, ready_batches, latest_batch, due_batches = {}, {}, {}, {}

-- The queue's epoch and virtual time, read once for each call. `false` if there is no such queue.
local function queue_of(namespace, queue)
  local of_namespace = queues[namespace]
  if not of_namespace then
    of_namespace = {}
    queues[namespace] = of_namespace
  end
  local known = of_namespace[queue]
  if known == nil then
    local fields = call('HMGET', key_queue(namespace, queue), 'e', 'vt')
    known = fields[1] and {name = namespace .. ':' .. queue, epoch = fields[1], time = tonumber(fields[2]) or 0} or false
    of_namespace[queue] = known
  end
  return known
end

-- The queue, made if need be: one whose namespace was removed may be needed again by a task that had ended before.
local function open_queue(namespace, queue)
  local known = queue_of(namespace, queue)
  if known then return known end
  call('HSET', key_queue(namespace, queue), 'e', '0', 'c', now_text)
  call('ZADD', key_queues(namespace), 0, queue)
  queues[namespace][queue] = nil
  return queue_of(namespace, queue)
end

local function ready_score(priority, ready_ms) return (9 - priority) * 1e13 + ready_ms end

-- What becomes ready in one set. The next task mostly goes where the latest went.
local function ready_batch(namespace, queue, type, group, here)
  local batch = latest_batch
  if batch.queue == queue and batch.type == type and batch.group == group and batch.namespace == namespace then return batch end
  local q = open_queue(namespace, queue)
  local name = key_ready(namespace, queue, q.epoch, type, group)
  batch = ready_batches[name]
  if not batch then
    batch = {namespace = namespace, queue = queue, type = type, group = group, q = q, args = {}, count = 0, here = here}
    ready_batches[name] = batch
  end
  latest_batch = batch
  return batch
end

-- `here`: the calling server has a waiting poll for the queue and will lease by itself.
local function make_ready(namespace, queue, type, group, priority, ready_ms, id, here)
  local batch = ready_batch(namespace, queue, type, group, here)
  local args, count = batch.args, batch.count
  args[count + 1], args[count + 2] = digits(ready_score(priority, ready_ms)), id
  batch.count = count + 2
end

-- The task's one timer: its time while it is SCHEDULED (state 2), its expiry while it is READY.
local function set_timer(namespace, queue, state, timer_ms, id)
  if timer_ms == math.huge then return end
  local q = open_queue(namespace, queue)
  local key = (state == 2 and key_due or key_expiring)(namespace, queue, q.epoch)
  local batch = due_batches[key]
  if not batch then
    batch = {name = q.name, args = {}, first = timer_ms}
    due_batches[key] = batch
  end
  local args = batch.args
  args[#args + 1] = digits(timer_ms)
  args[#args + 1] = id
  if timer_ms < batch.first then batch.first = timer_ms end
end

-- When it is due: its time, its longest wait for a worker, or its expiry, whichever is first.
local function waiting_timer(state, due_ms, longest_wait, expiry)
  local timer = state == 2 and due_ms or math.huge
  if state == 3 and longest_wait then timer = math.min(timer, now + longest_wait) end
  if expiry then timer = math.min(timer, expiry) end
  return timer
end

local function write_waiting()
  local woken = {}
  for name, batch in pairs(ready_batches) do
    local added = call('ZADD', name, unpack(batch.args))
    if added > 0 then
      call('HINCRBY', key_types(batch.namespace, batch.queue, batch.q.epoch), batch.type, added)
      call('ZADD', key_groups(batch.namespace, batch.queue, batch.q.epoch, batch.type), 'NX',
        digits(batch.q.time), batch.group)
    end
    if not batch.here and not woken[batch.q.name] then
      woken[batch.q.name] = true
      wake(batch.namespace, batch.queue)
    end
  end
  for key, batch in pairs(due_batches) do
    call('ZADD', key, unpack(batch.args))
    call('ZADD', key_due_queues(), 'LT', digits(batch.first), batch.name)
  end
  ready_batches, latest_batch, due_batches = {}, {}, {}
end

-- Takes a waiting task out of its sets. False if it is in none: it was purged and waits for its record to follow.
local function unwait(namespace, queue, type, group, id)
  local q = open_queue(namespace, queue)
  local found = call('ZREM', key_due(namespace, queue, q.epoch), id)
  call('ZREM', key_expiring(namespace, queue, q.epoch), id)
  local ready = key_ready(namespace, queue, q.epoch, type, group)
  if call('ZREM', ready, id) == 1 then
    found = 1
    if call('HINCRBY', key_types(namespace, queue, q.epoch), type, -1) <= 0 then
      call('HDEL', key_types(namespace, queue, q.epoch), type)
    end
    if call('EXISTS', ready) == 0 then call('ZREM', key_groups(namespace, queue, q.epoch, type), group) end
  end
  return found == 1
end
