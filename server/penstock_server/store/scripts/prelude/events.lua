-- events: collects what happened to tasks and writes one stream entry for the whole call.
--   An event is {id, kind, sequence, state, execution, outcome, attempt, cancel reason, due, session, extra}; positions
--   are only ever added, and trailing ones may be missing. Events of one namespace, queue and type share their names.
local event_groups, event_index, latest_group = {}, {}, {}

-- The next event is mostly of the same queue and type as the latest.
local function event_group(namespace, queue, type)
  local group = latest_group
  if group[2] == queue and group[3] == type and group[1] == namespace then return group end
  local name = namespace .. ':' .. queue .. ':' .. type
  group = event_index[name]
  if not group then
    group = {namespace, queue, type, {}}
    event_index[name] = group
    event_groups[#event_groups + 1] = group
  end
  latest_group = group
  return group
end

local function emit(namespace, queue, type, event)
  local events = event_group(namespace, queue, type)[4]
  events[#events + 1] = event
end

local function write_events()
  if #event_groups == 0 then return end
  local entry = cmsgpack.pack({1, now, event_groups})
  local count, bytes = call('INCR', key_event_count()), call('INCRBY', key_event_bytes(), #entry)
  call('XADD', key_events(), 'MAXLEN', '~', LIMITS.event_entries, '*', 'n', count, 'b', bytes, 'd', entry)
  event_groups, event_index, latest_group = {}, {}, {}
end
