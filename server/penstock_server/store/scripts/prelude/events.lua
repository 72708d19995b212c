-- events: collects what happened to tasks and writes one stream entry for the whole call.
--   An event is an array of id, kind, sequence, state, execution, outcome, attempt, cancel reason, due, session and extra.
--   Those of one namespace, queue and type share their names: {namespace, queue, type, count, events one behind the other}.
local event_groups, event_index, latest_group = {}, {}, {}

-- The next event is mostly of the same queue and type as the latest.
local function event_group(namespace, queue, type)
  local group = latest_group
  if group[2] == queue and group[3] == type and group[1] == namespace then return group end
  local name = namespace .. ':' .. queue .. ':' .. type
  group = event_index[name]
  if not group then
    group = {namespace, queue, type, events = {}}
    event_index[name] = group
    event_groups[#event_groups + 1] = group
  end
  latest_group = group
  return group
end

local EVENT_OF_TASK = string.char(0x9b, 0xba) -- what msgpack begins an array of eleven values, the first of them an id, with

-- What an event tells besides whose it is. What is left out is 0, a missing session empty, a missing extra nil.
local function event(kind, sequence, state, execution, outcome, attempt, reason, due, session, extra)
  local packed = packed -- read quicker than from around a function
  return packed[kind] .. packed[sequence] .. packed[state] .. packed[execution or 0] .. packed[outcome or 0]
    .. packed[attempt or 0] .. packed[reason or 0] .. packed[due or 0] .. packed[session or '']
    .. (extra and cmsgpack.pack(extra) or NIL)
end

local function emit(namespace, queue, type, id, told)
  local events = event_group(namespace, queue, type).events
  events[#events + 1] = EVENT_OF_TASK .. id .. told
end

local function write_events()
  if #event_groups == 0 then return end
  for _, group in ipairs(event_groups) do
    group[4], group[5], group.events = #group.events, table.concat(group.events), nil
  end
  local entry = cmsgpack.pack({2, now, event_groups})
  local count, bytes = call('INCR', key_event_count()), call('INCRBY', key_event_bytes(), #entry)
  call('XADD', key_events(), 'MAXLEN', '~', LIMITS.event_entries, '*', 'n', count, 'b', bytes, 'd', entry)
  event_groups, event_index, latest_group = {}, {}, {}
end
