-- fail: ends running executions that did not succeed; their tasks wait for the next one, or are buried.
--   uses   base task events notes waiting policy ending leases
--   input  {namespaces, ids, fences, random bits, outcomes, retryable, kinds, reports, shares 0..1 drawn at random,
--          summaries}, a value in each for every task
--   gives  {word} for each task: ok · lease_lost
--   safe to repeat: yes, the same end under the same token answers ok again
local namespaces, ids, fences, randoms, outcomes, retryable, kinds, reports, shares, summaries = unpack(input)
local words = {}
for index, task in ipairs(read_tasks(namespaces, ids)) do
  local word, outcome = proof(task, fences[index], randoms[index]), outcomes[index]
  if word == 'ok' then
    drop_lease(task)
    -- Only a task that was asked to end can end as cancelled.
    if outcome == 4 and not task.cancelled then outcome = 2 end
    judge(task, {outcome = outcome, retryable = retryable[index], kind = kinds[index], report = reports[index],
      random = shares[index], summary = summaries[index]})
  elseif word == 'ended' then
    word = (outcome == 4 and task.o == 2) and 'ok' or told_again(task, outcome)
  end
  words[index] = word
end
write_all()
return cmsgpack.pack(words)
