-- complete: ends running executions as succeeded, and their tasks with them.
--   uses   base task events notes waiting policy ending leases record
--   input  {items}, an item is {namespace, id, fence, random bits, report, server that waits for the task and asks for its
--          record or ""}
--   gives  {word} for each item: ok · lease_lost; {now, record} in place of ok where the record was asked for
--   safe to repeat: yes, the same end under the same token answers ok again
-- Longer fields would turn the task hash into a form that takes several times the memory.
local SHORT = 64
local words = {}

local function complete(task, report, server)
  local short = #report <= SHORT and task.r == 0 and report or nil
  drop_lease(task)
  if not short then keep_execution(task, 1, report) end
  end_task(task, 5, 5, {execution = task.x, outcome = 1, session = task.w, knows = server, report = short})
end

for index, item in ipairs(input) do
  local task = read_task(item[1], item[2])
  local word = proof(task, item[3], item[4])
  if word == 'ok' then
    complete(task, item[5], item[6])
  elseif word == 'ended' then
    word = told_again(task, 1)
  end
  words[index] = word
end
write_all()
for index, item in ipairs(input) do
  if item[6] ~= '' and words[index] == 'ok' then words[index] = {now, (record_of(item[1], item[2], true))} end
end
return cmsgpack.pack(words)
