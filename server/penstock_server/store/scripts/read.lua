-- read: reads tasks, and optionally notes that this server waits for what happens to them.
--   uses   base task record
--   input  {server id or "", full, namespaces, ids}; full: with spec; the last two have a value for every task
--   gives  {now, for each task its record, or {}}
--   safe to repeat: yes
local server, full = input[1], input[2]

local function note_waiting(task)
  if server == '' or task.s >= 5 then return end
  local waiting = task.wt or ''
  if string.find(',' .. waiting .. ',', ',' .. server .. ',', 1, true) then return end
  -- Servers come and go: only the latest few can still wait.
  local kept = {server}
  for other in string.gmatch(waiting, '[^,]+') do
    if #kept < 8 then kept[#kept + 1] = other end
  end
  set(task, 'wt', table.concat(kept, ','))
end

local answers = {}
for index, task in ipairs(read_tasks(input[3], input[4])) do
  if task then note_waiting(task) end
  answers[index] = record_of(task, full)
end
write_tasks()
return cmsgpack.pack({now, answers})
