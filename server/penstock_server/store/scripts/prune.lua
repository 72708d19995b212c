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

local function prune(namespace, id, task)
  local count = #gone
  gone[count + 1], gone[count + 2] = key_spec(namespace, id), key_executions(namespace, id)
  gone[count + 3], gone[count + 4] = key_progress(namespace, id), key_logs(namespace, id)
  if task then
    if task.s == 6 then call('ZREM', key_dead(namespace, task.q), id) end
    task.re = nil
    local goes = math.max(task.e + LIMITS.stub_age_ms, task.iw or 0, now + 1)
    call('SET', task.key, packed_task(task), 'PXAT', digits(goes))
  end
end

if #names > 0 then
  local items = {}
  for index, name in ipairs(names) do items[index] = {string.match(name, '^([^:]+):(.+)$')} end
  for index, task in ipairs(read_tasks(items)) do prune(items[index][1], items[index][2], task) end
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
