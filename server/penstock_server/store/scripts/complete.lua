-- complete: ends running executions as succeeded, and their tasks with them.
--   uses   base events notes waiting policy ending leases
--   input  {items}, an item is {namespace, id, fence, random bits, report}
--   gives  {word} for each item: ok · lease_lost
--   safe to repeat: yes, the same end under the same token answers ok again
local words = {}
for index, item in ipairs(input) do
  local task = read_task(item[1], item[2])
  local word = proof(task, item[3], item[4])
  if word == 'ok' then
    drop_lease(task)
    keep_execution(task, 1, item[5])
    end_task(task, 5, 5, {execution = task.x, outcome = 1, session = task.w})
  elseif word == 'ended' then
    word = told_again(task, 1)
  end
  words[index] = word
end
write_all()
return cmsgpack.pack(words)
