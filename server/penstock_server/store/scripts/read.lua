-- read: reads tasks, and optionally notes that this server waits for what happens to them.
--   uses   base
--   input  {server id or "", full, {{namespace, id} …}}; full: with spec, executions and progress
--   gives  {now, {{fields, values}, spec or "", last execution or "", progress or "", end of lease or record or ""} or {}
--          for each task}
--   safe to repeat: yes
local server, full = input[1], input[2]

local function note_waiting(key, waiting, state)
  if server == '' or tonumber(state) >= 5 then return end
  if not waiting or waiting == '' then return call('HSET', key, 'wt', server) end
  if string.find(',' .. waiting .. ',', ',' .. server .. ',', 1, true) then return end
  -- Servers come and go: only the latest few can still wait.
  local kept = {server}
  for other in string.gmatch(waiting, '[^,]+') do
    if #kept < 8 then kept[#kept + 1] = other end
  end
  call('HSET', key, 'wt', table.concat(kept, ','))
end

-- When the lease runs out, or when the full record of an ended task may go.
local function time_of(namespace, id, hash)
  if hash.s == '4' then return call('ZSCORE', key_leases(namespace, hash.q), id) end
  return tonumber(hash.s) >= 5 and call('ZSCORE', key_ended(), namespace .. ':' .. id)
end

local answers = {}
for index, item in ipairs(input[3]) do
  local namespace, id = item[1], item[2]
  local key = key_task(namespace, id)
  local fields = call('HGETALL', key)
  if #fields == 0 then
    answers[index] = {}
  else
    local hash = {}
    for position = 1, #fields, 2 do hash[fields[position]] = fields[position + 1] end
    note_waiting(key, hash.wt, hash.s)
    answers[index] = {fields,
      full and call('GET', key_spec(namespace, id)) or '',
      tonumber(hash.x) and call('LINDEX', key_executions(namespace, id), -1) or '',
      hash.sq ~= '1' and call('GET', key_progress(namespace, id)) or '',
      time_of(namespace, id, hash) or ''}
  end
end
return cmsgpack.pack({now, answers})
