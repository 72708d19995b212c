-- lease: hands ready tasks of one queue to waiting polls.
--   uses   base task events notes waiting
--   input  {namespace, queue, server id, polls, type lists, random bits}
--          a poll is {session, poll number, slots, bytes, type list number}; 16 random bytes for each slot, in order
--   gives  {now, {for each poll {word, leases, directives}}}; words: ok · superseded · paused
--          leases are {ids one behind the other, specs, kinds, {{position, execution before} …}}, the n-th of a call with the
--          n-th random bits; a kind is what so many of them share, in their order: {count, fence, execution, attempt, crashes,
--          created, due, term}
--   safe to repeat: no, but a lease whose answer is lost is given back when its first term runs out
--   order: the group (fairness key) with the least virtual time first; in it, the least score of any served type
local namespace, queue, server = input[1], input[2], input[3]
local polls, type_lists, random = input[4], input[5], input[6]
local of_queue = call('HMGET', key_queue(namespace, queue), 'e', 'pz', 'vt')
local epoch, paused = of_queue[1], of_queue[2]
local virtual_time = tonumber(of_queue[3]) or 0
local drawn, randoms_used = {}, 0

-- The types of the list that have ready tasks, each with its first group and that group's first score.
local function look(type)
  local groups = call('ZRANGE', key_groups(namespace, queue, epoch, type), 0, 1, 'WITHSCORES')
  if #groups == 0 then return nil end
  local head = call('ZRANGE', key_ready(namespace, queue, epoch, type, groups[1]), 0, 0, 'WITHSCORES')
  if #head == 0 then
    call('ZREM', key_groups(namespace, queue, epoch, type), groups[1])
    return look(type)
  end
  return {type = type, group = groups[1], time = tonumber(groups[2]), alone = #groups == 2, score = tonumber(head[2]), id = head[1]}
end

local function heads_of(types)
  local heads, counts = {}, call('HMGET', key_types(namespace, queue, epoch), unpack(types))
  for position, type in ipairs(types) do
    if (tonumber(counts[position]) or 0) > 0 then heads[#heads + 1] = look(type) end
  end
  return heads
end

-- Several groups share the queue: each task that one gets moves its virtual time on.
local function advance(heads, group)
  for _, head in ipairs(heads) do
    call('ZADD', key_groups(namespace, queue, epoch, head.type), 'XX', digits(virtual_time + 1), group)
  end
end

local function draw(head, count, into)
  local type, group = head.type, head.group
  local key = key_ready(namespace, queue, epoch, type, group)
  local popped = call('ZPOPMIN', key, count)
  local ids, scores, heads, before, found = into.ids, into.scores, into.heads, #into.ids, #popped / 2
  for index = 1, found do
    ids[before + index], scores[before + index], heads[before + index] = popped[2 * index - 1], popped[2 * index], head
  end
  drawn[type] = (drawn[type] or 0) + found
  if found < count or call('EXISTS', key) == 0 then call('ZREM', key_groups(namespace, queue, epoch, type), group) end
end

-- Ids rise with time: those of the same millisecond keep their order, also across types.
local function comes_before(one, other)
  if one.time ~= other.time then return one.time < other.time end
  if one.score ~= other.score then return one.score < other.score end
  return one.id < other.id
end

local function pick_one(heads, into)
  local best
  for position, head in ipairs(heads) do
    local b = best and heads[best]
    if not b or comes_before(head, b) then best = position end
  end
  local head, shared = heads[best], false
  for _, other in ipairs(heads) do shared = shared or not other.alone or other.group ~= head.group end
  if shared then virtual_time = math.max(virtual_time, head.time) end
  draw(head, 1, into)
  if shared then advance(heads, head.group) end
  for position = #heads, 1, -1 do
    if position == best or shared then
      local again = look(heads[position].type)
      if again then heads[position] = again else table.remove(heads, position) end
    end
  end
end

-- Up to `count` ready tasks: their ids, and for each its score and the head that it was drawn from.
local function candidates(types, count)
  local heads, into = heads_of(types), {ids = {}, scores = {}, heads = {}}
  if #heads == 1 and heads[1].alone then
    draw(heads[1], count, into)
    return into
  end
  while #heads > 0 and #into.ids < count do pick_one(heads, into) end
  return into
end

local function put_back(candidates, position)
  local head = candidates.heads[position]
  call('ZADD', key_ready(namespace, queue, epoch, head.type, head.group), candidates.scores[position], candidates.ids[position])
  call('ZADD', key_groups(namespace, queue, epoch, head.type), 'NX', digits(virtual_time), head.group)
  drawn[head.type] = drawn[head.type] - 1
end

local lease_args, args_count, first_expiry, leased_ids = {}, 0, math.huge, {}

-- What a lease makes of the fields of a task.
local function be_leased(fields, session)
  fields.s, fields.sq, fields.x, fields.w, fields.b = 4, fields.sq + 1, fields.x + 1, session, now
  fields.f = math.max((fields.f or 0) + 1, now_us)
  if fields.ll then
    alter(fields, 'll', nil)
    alter(fields, 'lb', nil)
  end
  fields.term = fields.L or LIMITS.lease_term_ms
  fields.expiry = math.min(now + math.min(LIMITS.accept_within_ms, fields.term), fields.tt or math.huge)
  fields.expires = digits(fields.expiry)
  fields.told = event(3, fields.sq, 4, fields.x, 0, fields.a, 0, 0, session)
end

-- Puts a lease into the answer. `fields` are those of its task, one table for all that share them.
local function put(id, created, spec, fields, into)
  local kinds, position = into.kinds, into.count + 1
  if into.latest ~= fields or into.created ~= created then
    into.latest, into.created = fields, created
    into.kind = {0, fields.f, fields.x, fields.a + 1, fields.k, created, fields.d or created, fields.term}
    kinds[#kinds + 1] = into.kind
  end
  local kind = into.kind
  kind[1] = kind[1] + 1
  into.count, into.ids[position], into.specs[position] = position, id, spec
  local before = fields.x > 1 and call('LINDEX', key_executions(namespace, id), -1)
  if before then into.befores[#into.befores + 1] = {position, before} end
end

-- False if there is nothing to lease: a member that is not READY is a leftover of a fault, and dropping it is the repair.
local function lease(id, record, spec, into)
  local shared, n, created, _, report = look_at(id, record)
  if not shared or shared.s ~= 3 or leased_ids[id] then return false end
  leased_ids[id] = true
  local fields = into.known[shared]
  if not fields then
    fields = made_of(shared, be_leased, into.session)
    into.known[shared] = fields
    first_expiry = math.min(first_expiry, fields.expiry)
  end
  if fields.ts or fields.tt then call('ZREM', key_expiring(namespace, queue, epoch), id) end
  local token = string.sub(random, randoms_used * 16 + 1, randoms_used * 16 + 16)
  randoms_used = randoms_used + 1
  write_later(key_task(namespace, id), packed_record(n, created, token, report, fields.bytes))
  lease_args[args_count + 1], lease_args[args_count + 2] = fields.expires, id
  args_count = args_count + 2
  emit(namespace, queue, fields.y, id, fields.told)
  put(id, created, spec, fields, into)
  return true
end

-- Those that find no room any more were read in vain, so only as many as would fit if they were like the one before.
local SPECS_AT_ONCE = 16

-- Reads up to `most` candidates from `first` on, into `records` and `specs`: false for what is not there.
local function read_ahead(candidates, first, most, records, specs)
  local spec_keys, task_keys, count = {}, {}, math.max(1, math.min(SPECS_AT_ONCE, most))
  for offset = 1, math.min(count, #candidates.ids - first + 1) do
    local id = candidates.ids[first + offset - 1]
    task_keys[offset], spec_keys[offset] = key_task(namespace, id), key_spec(namespace, id)
  end
  local found = call('MGET', unpack(task_keys))
  for offset, spec in ipairs(call('MGET', unpack(spec_keys))) do
    records[first + offset - 1], specs[first + offset - 1] = found[offset], spec
  end
end

local NOTHING = {'', {}, {}, {}}

local function serve(poll)
  local into = {session = poll[1], count = 0, ids = {}, specs = {}, kinds = {}, befores = {}, known = {}}
  local leased, room, full, records, specs = 0, poll[4], false, {}, {}
  local size, drawn_now = math.max(1, poll[4]), candidates(type_lists[poll[5]], poll[3])
  for position = 1, #drawn_now.ids do
    if not full and specs[position] == nil then
      read_ahead(drawn_now, position, math.floor(room / size), records, specs)
    end
    local spec = not full and specs[position]
    size = spec and #spec + 256 or size
    if full or (spec and #spec > room and leased > 0) then
      full = true
      put_back(drawn_now, position)
    elseif spec and lease(drawn_now.ids[position], records[position], spec, into) then
      leased, room = leased + 1, room - #spec - 256
    end
  end
  return leased, {table.concat(into.ids), into.specs, into.kinds, into.befores}
end

-- Notes the poll, so that the reaper can tell a lost answer from a dead worker. False if a newer poll exists.
local function note_poll(session, number)
  local key = key_poll(namespace, session)
  -- A report that asks for leases has number -1: it neither ends a poll nor is ended by one.
  if number < 0 then
    call('HSET', key, 'at', now_text)
  elseif (tonumber(call('HGET', key, 'n')) or 0) > number then
    return false
  else
    call('HSET', key, 'n', digits(number), 'at', now_text)
  end
  call('PEXPIRE', key, 3600000)
  return true
end

local results, unserved = {}, false
for index, poll in ipairs(polls) do
  local directives = call('HVALS', key_directives(namespace, poll[1]))
  if not note_poll(poll[1], poll[2]) then
    results[index] = {'superseded', NOTHING, directives}
  elseif paused or not epoch then
    unserved = true
    results[index] = {paused and 'paused' or 'ok', NOTHING, directives}
  else
    local leased, leases = serve(poll)
    unserved = unserved or leased < poll[3]
    if leased > 0 then call('HINCRBY', key_held(namespace), poll[1], leased) end
    results[index] = {'ok', leases, directives}
  end
end

write_tasks()
if args_count > 0 then
  call('ZADD', key_leases(namespace, queue), unpack(lease_args))
  call('ZADD', key_lease_queues(), 'LT', digits(first_expiry), namespace .. ':' .. queue)
  call('HSET', key_queue(namespace, queue), 'vt', digits(virtual_time))
end
local left = false
for type, count in pairs(drawn) do
  -- A count of 0: whatever was drawn was put back.
  if count > 0 and call('HINCRBY', key_types(namespace, queue, epoch), type, -count) <= 0 then
    call('HDEL', key_types(namespace, queue, epoch), type)
  else
    left = true
  end
end
if unserved and server ~= '' then
  local waiters = key_waiters(namespace, queue)
  -- Whoever waits looks again every second: the set may go with servers and queues that are no more.
  if call('SADD', waiters, server) == 1 then call('PEXPIRE', waiters, 60000) end
elseif left then
  wake(namespace, queue)
end
write_events()
send_notes()
return cmsgpack.pack({now, results})
