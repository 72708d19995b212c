-- submit: takes tasks in.
--   uses   base task events notes waiting ending
--   flags  none: a full store refuses new tasks
--   input  {calls}, a call is {namespace, request id or "", all or none, task ids, kinds, items, queues with a waiting poll
--          here, server to tell of the ends or ""}
--          a kind is what many items share: {queue, type, priority, fairness key, due ms or 0, delay ms}
--          an item is {kind number, spec, timers, idempotency}; the last one or two may be missing: timers is a map of task
--          fields to ms, idempotency is {key, window ms, policy (0 return, 1 refuse, 2 replace), spec hash}
--   gives  {now, answers}, for each call {first task id, results}, for each item its state if it was taken under its id,
--          else {word, task id, state}; words: taken · existing · exists · reused · full · too_many_queues · aborted
--   safe to repeat: with a request id or an idempotency key
local function queue_fits(namespace, queue)
  return queue_of(namespace, queue) or call('ZCARD', key_queues(namespace)) < LIMITS.queues_per_namespace
end

-- The backlog as it was before this call, read once; what the call itself adds is counted in `backlog`.
local backlog_before = {}

local function has_room(namespace, tasks, bytes)
  local before = backlog_before[namespace]
  if not before then
    local used = call('HMGET', key_backlog(), namespace .. ':n', namespace .. ':b')
    before = {tonumber(used[1]) or 0, tonumber(used[2]) or 0}
    backlog_before[namespace] = before
  end
  local sums = backlog[namespace]
  if sums then tasks, bytes = tasks + sums[1], bytes + sums[2] end
  return before[1] + tasks <= LIMITS.backlog_count and before[2] + bytes <= LIMITS.backlog_bytes
end

-- The kinds of the call at hand, by their number.
local kinds

local function read_kinds(rows)
  kinds = {}
  for number, row in ipairs(rows) do
    local queue, type, priority, group, due, delay = unpack(row)
    if due == 0 and delay > 0 then due = now + delay end
    local state = due > now and 2 or 3
    kinds[number] = {queue = queue, type = type, priority = priority, group = group, due = due, state = state,
      event = event(1, 1, state, 0, 0, 0, 0, state == 2 and due)}
  end
end

-- What an idempotency key says about an item: nil if the item is new, else a result, or 'replace' and the task that must give way.
local function under_key(namespace, queue, idempotency)
  local value = call('GET', key_idempotency(namespace, queue, idempotency[1]))
  if not value then return nil end
  local id, hash = string.sub(value, 1, 26), string.sub(value, 27)
  local state = (read_task(namespace, id) or {s = 0}).s
  if idempotency[3] == 2 and (state == 2 or state == 3) then return {'replace', id, state} end
  if hash ~= idempotency[4] then return {'reused', id, state} end
  return {idempotency[3] == 1 and 'exists' or 'existing', id, state}
end

-- What stands against an item, or what it is already. nil: it may be taken. Writes nothing.
local function obstacle(namespace, item)
  local kind, spec, idempotency = kinds[item[1]], item[2], item[4]
  local queue = kind.queue
  local known = idempotency and under_key(namespace, queue, idempotency)
  if known and known[1] ~= 'replace' then return known end
  if not (kind.open or queue_fits(namespace, queue)) then return {'too_many_queues', '', 0} end
  if not has_room(namespace, 1, #spec) then return {'full', '', 0} end
  item.replaces = known and known[2]
  return nil
end

-- A task that waits still under the key gives way. If its queue was purged meanwhile, nothing is in the way.
local function replace(namespace, id)
  local task = read_task(namespace, id)
  -- It may have come with this very call: then its entries are not written yet.
  write_waiting()
  if unwait(namespace, task.q, task.y, task.g, id) then end_task(task, 7, 10, nil, 4) end
end

local function remember_key(namespace, idempotency, task)
  local key, window, hash = idempotency[1], idempotency[2], idempotency[4]
  call('SET', key_idempotency(namespace, task.q, key), task.id .. hash)
  set(task, 'ik', key)
  set(task, 'iw', now + window)
end

-- The fields of a new task but for its own.
local function first_fields(kind, waiting)
  local task = {s = kind.state, q = kind.queue, y = kind.type, g = kind.group, p = kind.priority,
    sq = 1, a = 0, x = 0, k = 0, r = 0}
  if kind.state == 2 then alter(task, 'd', kind.due) end
  if waiting ~= '' then alter(task, 'wt', waiting) end
  return task
end

-- A task whose record is like no other's.
local function take_special(namespace, id, item, kind, waiting)
  local task = first_fields(kind, waiting)
  task.namespace, task.id, task.key, task.n, task.c = namespace, id, key_task(namespace, id), #item[2], now
  tasks[task.key] = task
  save(task)
  for name, value in pairs(item[3]) do set(task, name, name == 'tt' and now + value or value) end
  if item[4] then remember_key(namespace, item[4], task) end
  set_timer(namespace, kind.queue, kind.state, waiting_timer(kind.state, kind.due, task.ts, task.tt), id)
end

-- Plain tasks of a kind that come in one call differ in the size of the spec alone.
local function take_plain(namespace, id, kind, size, waiting)
  if not kind.record then kind.record = packed[now] .. NIL .. NIL .. packed_shared(first_fields(kind, waiting)) end
  write_later(key_task(namespace, id), packed[size] .. kind.record)
  if kind.state == 2 then set_timer(namespace, kind.queue, 2, kind.due, id) end
end

local function take(namespace, id, item, here, waiting)
  local kind, spec = kinds[item[1]], item[2]
  local queue, type = kind.queue, kind.type
  if item[3] then take_special(namespace, id, item, kind, waiting) else take_plain(namespace, id, kind, #spec, waiting) end
  write_later(key_spec(namespace, id), spec)
  if kind.state == 3 then make_ready(namespace, queue, type, kind.group, kind.priority, now, id, here[queue]) end
  count_backlog(namespace, 1, #spec)
  emit(namespace, queue, type, id, kind.event)
  return kind.state
end

local function settle(namespace, id, item, here, waiting)
  local result = obstacle(namespace, item)
  if result then return result end
  if item.replaces then replace(namespace, item.replaces) end
  local kind = kinds[item[1]]
  kind.open = kind.open or open_queue(namespace, kind.queue)
  return take(namespace, id, item, here, waiting)
end

-- The first item of an all-or-none call that cannot be taken, and why. A task that exists already is no obstacle.
local function first_misfit(namespace, items)
  local bytes, seen, opened, room = 0, {}, {}, LIMITS.queues_per_namespace - call('ZCARD', key_queues(namespace))
  for position, item in ipairs(items) do
    local queue, idempotency = kinds[item[1]].queue, item[4]
    bytes = bytes + #item[2]
    local result = obstacle(namespace, item)
    if result and result[1] ~= 'existing' then return position, result end
    if not opened[queue] and not queue_of(namespace, queue) then
      opened[queue], room = true, room - 1
      if room < 0 then return position, {'too_many_queues', '', 0} end
    end
    if idempotency then
      local name = queue .. ':' .. idempotency[1]
      if seen[name] and idempotency[3] ~= 2 then
        if seen[name] ~= idempotency[4] then return position, {'reused', '', 0} end
        if idempotency[3] == 1 then return position, {'exists', '', 0} end
      end
      seen[name] = idempotency[4]
    end
  end
  if not has_room(namespace, #items, bytes) then return 1, {'full', '', 0} end
end

-- What is kept of a call under its request id: its first task id, and behind it how many items it had, and {position, id} of
-- each item whose id cannot be worked out from that: one that existed already, or was refused (then the id is empty).
-- Nothing behind it means one item, and none apart.
local function remember_call(namespace, request_id, first, count, apart)
  if count > 1 or #apart > 0 then first = first .. cmsgpack.pack({count, apart}) end
  call('SET', key_request(namespace, request_id), first, 'PX', digits(LIMITS.request_window_ms))
end

local function ids_apart(results)
  local apart, taken = {}, false
  for position, result in ipairs(results) do
    if type(result) == 'number' then
      taken = true
    else
      local known = result[1] == 'existing'
      taken = taken or known
      apart[#apart + 1] = {position, known and result[2] or ''}
    end
  end
  return apart, taken
end

local function carry_out(namespace, all_or_none, ids, items, here, waiting)
  local results, misfit, why = {}, nil, nil
  if all_or_none then misfit, why = first_misfit(namespace, items) end
  for position, item in ipairs(items) do
    if misfit then
      results[position] = position == misfit and why or {'aborted', '', 0}
    else
      results[position] = settle(namespace, ids[position], item, here, waiting)
    end
  end
  return results, misfit
end

-- The call was carried out before: its tasks are those of the first time. The caller works out ids that are left empty.
-- What was refused then is tried again, and so is what it did not have then: nothing is answered for that was never stored.
local function repeated(namespace, request, stored, here)
  local items, results, apart = request[6], {}, {}
  local known = #stored > 26 and cmsgpack.unpack(string.sub(stored, 27)) or {1, {}}
  local count, pairs_apart = known[1], known[2]
  for position in ipairs(items) do
    results[position] = {'existing', '', 0}
    if position > count then pairs_apart[#pairs_apart + 1] = {position, ''} end
  end
  for index, pair in ipairs(pairs_apart) do
    local position, id = pair[1], pair[2]
    if not items[position] then -- the call had more items then; they are remembered as they were
    elseif id ~= '' then
      results[position] = {'existing', id, 0}
    else
      id = request[4][position]
      local result = settle(namespace, id, items[position], here, request[8])
      -- The caller works ids out from that of the first time.
      if type(result) == 'number' then result = {'taken', id, result} end
      results[position] = result
      if result[1] ~= 'taken' then id = result[1] == 'existing' and result[2] or '' end
    end
    apart[index] = {position, id}
  end
  if #apart > 0 then
    remember_call(namespace, request[2], string.sub(stored, 1, 26), math.max(count, #items), apart)
  end
  return results
end

local answers = {}
for index, request in ipairs(input) do
  local namespace, request_id, ids = request[1], request[2], request[4]
  local here = {}
  for _, queue in ipairs(request[7]) do here[queue] = true end
  read_kinds(request[5])
  local stored = request_id ~= '' and call('GET', key_request(namespace, request_id))
  if stored then
    answers[index] = {string.sub(stored, 1, 26), repeated(namespace, request, stored, here)}
  else
    local results, misfit = carry_out(namespace, request[3], ids, request[6], here, request[8])
    if request_id ~= '' and not misfit then
      local apart, taken = ids_apart(results)
      if taken then remember_call(namespace, request_id, ids[1], #results, apart) end
    end
    answers[index] = {ids[1], results}
  end
end
write_all()
return cmsgpack.pack({now, answers})
