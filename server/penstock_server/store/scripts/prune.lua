-- prune: lets go of what was kept long enough: full records of ended tasks, and old events.
--   uses   base task
--   input  {most tasks}
--   gives  {count of tasks, count of those that may go still}
--   safe to repeat: yes
--   The task's record stays as a stub for a while, so that late reports and repeated calls get a true answer.
local limit = input[1]
-- By age, and beyond the bound those that would go first anyway.
local aged = call('ZCOUNT', key_ended(), '-inf', digits(now))
local may_go = math.max(aged, call('ZCARD', key_ended()) - LIMITS.ended_count)
local names = may_go > 0 and call('ZRANGE', key_ended(), 0, math.min(limit, may_go) - 1) or {}

local gone = {}

-- Taken in, leased once, ended with its result in the record, and no word in between: it has none of the other keys.
local function has_spec_alone(shared, report) return shared.x == 1 and shared.sq == 3 and report and not shared.ll end

local function stays_until(shared)
  shared.stays = shared.stays or digits(math.max(shared.e + LIMITS.stub_age_ms, shared.iw or 0, now + 1))
  return shared.stays
end

local function prune(namespace, id, key, record)
  local count, shared, n, c, t, report = #gone, look_at(id, record)
  if shared and shared.s < 5 then return end -- it has not ended and stands here by a fault: it goes on
  gone[count + 1] = key_spec(namespace, id)
  if not (shared and has_spec_alone(shared, report)) then
    gone[count + 2], gone[count + 3] = key_executions(namespace, id), key_progress(namespace, id)
    gone[count + 4] = key_logs(namespace, id)
  end
  if not shared then return end
  if shared.s == 6 then call('ZREM', key_dead(namespace, shared.q), id) end
  call('SET', key, packed_record(n, c, t, nil, shared.bytes), 'PXAT', stays_until(shared))
end

if #names > 0 then
  local namespaces, ids, keys = {}, {}, {}
  for index, name in ipairs(names) do
    local namespace, id = string.match(name, '^([^:]+):(.+)$')
    namespaces[index], ids[index] = namespace or '', id or '' -- whatever else stands there goes too
    keys[index] = key_task(namespaces[index], ids[index])
  end
  for index, record in ipairs(call('MGET', unpack(keys))) do prune(namespaces[index], ids[index], keys[index], record) end
  if #gone > 0 then call('UNLINK', unpack(gone)) end
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
return cmsgpack.pack({#names, may_go - #names})
