-- prune: lets go of what was kept long enough: full records of ended tasks, and old events.
--   uses   base task
--   input  {most tasks}
--   gives  {count of tasks, more left}
--   safe to repeat: yes
--   The task's record stays as a stub for a while, so that late reports and repeated calls get a true answer.
local limit = input[1]
local count = call('ZCARD', key_ended())
local beyond = count - LIMITS.ended_count
local names = call('ZRANGEBYSCORE', key_ended(), '-inf', digits(now), 'LIMIT', 0, limit)
if #names < limit and beyond > #names then names = call('ZRANGE', key_ended(), 0, math.min(limit, beyond) - 1) end

local gone = {}

-- Taken in, leased once, ended with its result in the record, and no word in between: it has none of the other keys.
local function has_spec_alone(task) return task and task.x == 1 and task.sq == 3 and task.re and not task.ll end

local function prune(namespace, id, task)
  local count = #gone
  gone[count + 1] = key_spec(namespace, id)
  if not has_spec_alone(task) then
    gone[count + 2], gone[count + 3] = key_executions(namespace, id), key_progress(namespace, id)
    gone[count + 4] = key_logs(namespace, id)
  end
  if not task then return end
  if task.s == 6 then call('ZREM', key_dead(namespace, task.q), id) end
  task.re = false
  call('SET', task.key, packed_task(task), 'PXAT', digits(math.max(task.e + LIMITS.stub_age_ms, task.iw or 0, now + 1)))
end

if #names > 0 then
  local namespaces, ids = {}, {}
  for index, name in ipairs(names) do
    local namespace, id = string.match(name, '^([^:]+):(.+)$')
    namespaces[index], ids[index] = namespace or '', id or '' -- whatever else stands there goes too
  end
  for index, task in ipairs(read_tasks(namespaces, ids)) do prune(namespaces[index], ids[index], task) end
  call('UNLINK', unpack(gone))
  call('ZREM', key_ended(), unpack(names))
end

-- Entries differ much in size: from the bytes they count, trim to the share that fits.
local function trim_events()
  local first, last = call('XRANGE', key_events(), '-', '+', 'COUNT', 1)[1], call('XREVRANGE', key_events(), '+', '-', 'COUNT', 1)[1]
  if not first then return end
  local bytes = tonumber(last[2][4]) - tonumber(first[2][4])
  if bytes > LIMITS.event_bytes then
    local keep = math.floor(call('XLEN', key_events()) * LIMITS.event_bytes / bytes)
    call('XTRIM', key_events(), 'MAXLEN', '~', keep)
  end
end

trim_events()
call('XTRIM', key_events(), 'MINID', '~', digits(now - LIMITS.event_window_ms))
return cmsgpack.pack({#names, #names >= limit and 1 or 0})
