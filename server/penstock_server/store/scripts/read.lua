-- read: reads tasks, and optionally notes that this server waits for what happens to them.
--   uses   base record
--   input  {server id or "", full, {{namespace, id} …}}; full: with spec
--   gives  {now, for each task its record, or {}}
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

local answers = {}
for index, item in ipairs(input[3]) do
  local record, hash = record_of(item[1], item[2], full)
  if hash then note_waiting(key_task(item[1], item[2]), hash.wt, hash.s) end
  answers[index] = record
end
return cmsgpack.pack({now, answers})
