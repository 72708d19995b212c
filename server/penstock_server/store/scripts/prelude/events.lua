-- events: collects what happened to tasks and writes one stream entry for the whole call.
--   Tasks to which the same happened one after the other share a run, an array of their ids, one behind the other, kind,
--   sequence, state, execution, outcome, attempt, cancel reason, due, session and extra. Runs of one namespace, queue and type
--   share their names: {namespace, queue, type, count, runs one behind the other}.
local event_groups, event_index, latest_group = {}, {}, {}

-- The next event is mostly of the same queue and type as the latest.
local function event_group(namespace, queue, type)
  local group = latest_group
  if group[2] == queue and group[3] == type and group[1] == namespace then return group end
  local name = namespace .. ':' .. queue .. ':' .. type
  group = event_index[name]
  if not group then
    group = {namespace, queue, type, runs = {}}
    event_index[name] = group
    event_groups[#event_groups + 1] = group
  end
  latest_group = group
  return group
end

local RUN = string.char(0x9b) -- what msgpack begins an array of eleven values with

-- What an event tells besides whose it is. What is left out is 0, a missing session empty, a missing extra nil.
local function event(kind, sequence, state, execution, outcome, attempt, reason, due, session, extra)
  local packed = packed -- read quicker than from around a function
  return packed[kind] .. packed[sequence] .. packed[state] .. packed[execution or 0] .. packed[outcome or 0]
    .. packed[attempt or 0] .. packed[reason or 0] .. packed[due or 0] .. packed[session or '']
    .. (extra and cmsgpack.pack(extra) or NIL)
end

-- Tells that the same happened to tasks of these ids, which nobody changes any more.
local function emit_all(namespace, queue, type, ids, told)
  local group = event_group(namespace, queue, type)
  group.told = nil
  group.runs[#group.runs + 1] = {told, ids}
end

local function emit(namespace, queue, type, id, told)
  local group = event_group(namespace, queue, type)
  if group.told ~= told then
    group.told, group.ids, group.count = told, {}, 0
    group.runs[#group.runs + 1] = {told, group.ids}
  end
  local count = group.count + 1
  group.count, group.ids[count] = count, id
end

local function write_events()
  if #event_groups == 0 then return end
  local rows = {}
  for row, group in ipairs(event_groups) do
    local runs = group.runs
    for index, run in ipairs(runs) do runs[index] = RUN .. cmsgpack.pack(table.concat(run[2])) .. run[1] end
    rows[row] = {group[1], group[2], group[3], #runs, table.concat(runs)}
  end
  local entry = cmsgpack.pack({3, now, rows})
  local count, bytes = call('INCR', key_event_count()), call('INCRBY', key_event_bytes(), #entry)
  call('XADD', key_events(), 'MAXLEN', '~', LIMITS.event_entries, '*', 'n', count, 'b', bytes, 'd', entry)
  event_groups, event_index, latest_group = {}, {}, {}
end
