-- fail: ends running executions that did not succeed; their tasks wait for the next one, or are buried.
--   uses   base task events notes waiting policy ending leases
--   input  {items}, an item is {namespace, id, fence, random bits, outcome, retryable, kind, report, random 0..1, summary}
--   gives  {word} for each item: ok · lease_lost
--   safe to repeat: yes, the same end under the same token answers ok again
local words, found = {}, read_tasks(input)
for index, item in ipairs(input) do
  local task = found[index]
  local word = proof(task, item[3], item[4])
  if word == 'ok' then
    drop_lease(task)
    -- Only a task that was asked to end can end as cancelled.
    local outcome = item[5] == 4 and not task.cancelled and 2 or item[5]
    judge(task, {outcome = outcome, retryable = item[6], kind = item[7], report = item[8], random = item[9],
      summary = item[10]})
  elseif word == 'ended' then
    word = (item[5] == 4 and task.o == 2) and 'ok' or told_again(task, item[5])
  end
  words[index] = word
end
write_all()
return cmsgpack.pack(words)
