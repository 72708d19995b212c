-- audit: looks at tasks one by one, and mends those that no set knows of any more.
--   uses   base task events notes waiting ending
--   input  {namespaces, ids}, a value in each for every task
--   gives  {{namespace, id, state, what was missing} …} for the tasks that were mended; state 0: its record cannot be read
--   safe to repeat: yes
--   A task in no set would wait for ever: nothing would lease, promote, reap or prune it.
local mended = {}
local purges

-- Whether the task was purged, and waits for `sweep` to say so on its record.
local function is_purged(task)
  purges = purges or call('LRANGE', key_purges(), 0, -1)
  local prefix = task.namespace .. ':' .. task.q .. ':'
  for _, name in ipairs(purges) do
    if string.sub(name, 1, #prefix) == prefix then
      local epoch = string.sub(name, #prefix + 1)
      if call('ZSCORE', key_due(task.namespace, task.q, epoch), task.id)
        or call('ZSCORE', key_ready(task.namespace, task.q, epoch, task.y, task.g), task.id) then return true end
    end
  end
  return false
end

local function has_one(key, task) return call('ZSCORE', key, task.id) end

local function audit_ready(task, q)
  if has_one(key_ready(task.namespace, task.q, q.epoch, task.y, task.g), task) or is_purged(task) then return end
  make_ready(task.namespace, task.q, task.y, task.g, task.p, task.d or task.c, task.id)
  return 'ready'
end

local function audit_scheduled(task, q)
  if has_one(key_due(task.namespace, task.q, q.epoch), task) or is_purged(task) then return end
  set_timer(task.namespace, task.q, 2, waiting_timer(2, task.d, task.ts, task.tt), task.id)
  return 'due'
end

local function audit_running(task)
  if has_one(key_leases(task.namespace, task.q), task) then return end
  -- One full term: its worker may be alive and renew it.
  call('ZADD', key_leases(task.namespace, task.q), digits(now + (task.L or LIMITS.lease_term_ms)), task.id)
  call('ZADD', key_lease_queues(), 'LT', now_text, task.namespace .. ':' .. task.q)
  return 'leases'
end

local function audit_ended(task)
  local name = task.namespace .. ':' .. task.id
  if call('PTTL', task.key) >= 0 or call('ZSCORE', key_ended(), name) then return end
  call('ZADD', key_ended(), digits(now + LIMITS.ended_age_ms), name)
  return 'ended'
end

local function audit(task)
  local q = queue_of(task.namespace, task.q)
  if not q then return nil end
  if task.s == 3 then return audit_ready(task, q) end
  if task.s == 2 then return audit_scheduled(task, q) end
  if task.s == 4 then return audit_running(task) end
  return audit_ended(task)
end

local namespaces, ids = unpack(input)
for index, task in ipairs(read_tasks(namespaces, ids)) do
  local namespace, id = namespaces[index], ids[index]
  local missing = task and audit(task)
  if missing then mended[#mended + 1] = {namespace, id, task.s, missing} end
  if not task and call('EXISTS', key_task(namespace, id)) == 1 then mended[#mended + 1] = {namespace, id, 0, 'record'} end
end
write_waiting()
send_notes()
return cmsgpack.pack(mended)
